package deliver

import (
	"io/fs"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// Volume is what a pod asked for, where it goes and for whom. It is a value: a later
// publish of the same volume brings a whole new one, with a fresher token.
type Volume struct {
	// ID is the CSI volume id.
	ID string
	// TargetPath is where the tmpfs is mounted: absolute and clean.
	TargetPath string
	// Group owns the files besides root; the pod's fsGroup, or 0.
	Group uint32
	// Mode is the permission bits of the files.
	Mode   uint32
	Format seam.Format
	// Provider names the provider of what names no other; see seam.Fetcher.
	Provider    string
	Connections Wanted
	Variables   Wanted
	// Keyless lists the connections that may have the pod's own identity at a cloud in the place of
	// credentials, and must where they are not optional; nil for all that go without credentials.
	Keyless *Wanted
	// Refresh is how often to ask again where nobody tells us of changes, if that is no more
	// often than Config.MinRefresh allows; zero leaves it to the daemon.
	Refresh time.Duration
	Pod     call.Identity
}

// Wanted names the entries of one kind that a volume asked for.
type Wanted struct {
	// All is "*": everything that the provider lets the pod have. Names is then empty.
	All   bool
	Names []WantedName
}

// WantedName is one id of an attribute.
type WantedName struct {
	ID string
	// Source names the provider that has it; empty is the volume's.
	Source string
	// Optional entries ("id?") may be missing, denied or invalid without failing the
	// volume.
	Optional bool
}

func (w Wanted) isEmpty() bool { return !w.All && len(w.Names) == 0 }

func (w Wanted) selection() call.Selection {
	selection := call.Selection{All: w.All}
	for _, name := range w.Names {
		selection.Names = append(selection.Names, name.ID)
	}
	return selection
}

// IDs is how many ids the volume lists; what "*" brings is not known.
func (v Volume) IDs() int { return len(v.Connections.Names) + len(v.Variables.Names) }

func (v Volume) fileMode() fs.FileMode { return fs.FileMode(v.Mode) }

// ofKind is what is wanted of one kind.
type ofKind struct {
	Wanted
	kind layout.Kind
}

func (v Volume) wanted() [2]ofKind {
	return [2]ofKind{{v.Connections, layout.Connection}, {v.Variables, layout.Variable}}
}

func (p part) wanted() [2]ofKind {
	return [2]ofKind{{p.connections, layout.Connection}, {p.variables, layout.Variable}}
}

// required are the entries that the volume cannot do without.
func (v Volume) required() map[layout.Name]bool {
	required := map[layout.Name]bool{}
	for _, wanted := range v.wanted() {
		for _, name := range wanted.Names {
			if !name.Optional {
				required[layout.Name{Kind: wanted.kind, ID: name.ID}] = true
			}
		}
	}
	if v.Keyless != nil && v.Connections.All {
		for _, name := range v.Keyless.Names {
			required[layout.Name{Kind: layout.Connection, ID: name.ID}] = !name.Optional
		}
	}
	return required
}

// setOf is what the parts ask for, to look names up in.
func setOf(parts ...part) schedule.Set {
	count := 0
	for _, one := range parts {
		count += one.ids()
	}
	var kinds []layout.Kind
	names := make([]layout.Name, 0, count)
	for _, one := range parts {
		for _, wanted := range one.wanted() {
			if wanted.All {
				kinds = append(kinds, wanted.kind)
			}
			for _, name := range wanted.Names {
				names = append(names, layout.Name{Kind: wanted.kind, ID: name.ID})
			}
		}
	}
	return schedule.NewSet(kinds, names)
}

func request(spec Volume) call.Request {
	return call.Request{Connections: spec.Connections.selection(), Variables: spec.Variables.selection()}
}

// groupKey is equal for volumes that can share one fetch.
func groupKey(spec Volume) string { return seam.KeyOf(spec.Provider, spec.Pod, request(spec)) }

// sameRequest reports whether two specs of one volume ask for the same files.
func sameRequest(a, b Volume) bool {
	return a.Group == b.Group && a.Mode == b.Mode && a.Format == b.Format && groupKey(a) == groupKey(b) &&
		slices.Equal(a.Connections.Names, b.Connections.Names) && slices.Equal(a.Variables.Names, b.Variables.Names) &&
		sameKeyless(a.Keyless, b.Keyless)
}

func sameKeyless(a, b *Wanted) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.All == b.All && slices.Equal(a.Names, b.Names)
}
