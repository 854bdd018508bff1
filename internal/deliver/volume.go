package deliver

import (
	"time"

	"github.com/leoflow/secrets-csi/internal/deliver/render"
	"github.com/leoflow/secrets-csi/pkg/provider"
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
	Format render.Format
	// Provider names the provider of what names no other; see Config.Providers.
	Provider    string
	Connections Wanted
	Variables   Wanted
	// Refresh is how often to ask again where nobody tells us of changes; zero leaves
	// it to the daemon.
	Refresh time.Duration
	Pod     provider.Identity
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
