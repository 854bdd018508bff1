package mount

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Content is what a volume is to show.
type Content struct {
	// Entries are all that the volume is to show, in any order, each once.
	Entries []Entry
	// Identities are those of which an entry may speak, one for each cloud at most. What the volume shows of
	// others stays for the entries that it holds.
	Identities []Identity
	// Rest keeps what the volume shows and Entries does not name, instead of taking it
	// away. When the volume was last confirmed stays as well.
	Rest bool
	// Carry, if not nil, tells of what the volume shows and Entries does not name whether it is carried
	// over as it stands, instead of being taken away.
	Carry func(layout.Name) bool `json:"-"`
	// Manifest says what is true of all entries. Write sets its Schema, Generation and
	// Entries.
	Manifest layout.Manifest
	// Cap is the most memory that the files may take, in bytes: the volume's Options. With 0
	// the file system's own bound is the only one.
	Cap int64
	// Room, if not nil, is asked for the memory that a new generation needs in place of the one
	// that is shown, where the volume takes now bytes. What it grants less a live volume does
	// without, by holding what has grown; an error fails the call.
	Room func(need, now int64) (granted int64, err error) `json:"-"`
	// short is set where Room granted less.
	short bool
	// Mode is of every file; a directory can be entered by whom Mode lets read.
	Mode fs.FileMode
	// GID is the group of all files and directories, the pod's fsGroup; 0 without one.
	GID int
}

// Entry is one entry of a volume: its line of the manifest, and if it is delivered, its
// bytes. It prints without these.
type Entry struct {
	layout.Entry
	// Value is the content of the entry's file, JSON the entry's value in the file for
	// Airflow, nil where it must not stand there. Both are secrets. The package reads them
	// only while a call lasts.
	Value, JSON []byte
	// Optional leaves the entry out of a new volume that has no room for it, instead of failing.
	Optional bool
	// Hold asks for what the volume shows of the entry: the file, the value for Airflow
	// and the manifest's line are carried over. Where the volume shows no file of it, the
	// entry is as its State says.
	Hold bool
	// Why is what a held entry says of the reason. Empty, the line is carried over as it
	// stands, whatever it says, and left out if there is none.
	Why string
}

// LogValue is what String returns.
func (e Entry) LogValue() slog.Value { return slog.StringValue(e.String()) }

// String names the entry and says how long its value is.
func (e Entry) String() string { return fmt.Sprintf("%s %q (%d bytes)", e.Kind, e.ID, len(e.Value)) }

// MarshalText is what String returns.
func (e Entry) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Format covers every verb, since %x or %#v would otherwise reach into the value.
func (e Entry) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, e.String()) }

// File is one file of a volume. It prints without its data.
type File struct {
	// Path is relative to the volume and slash-separated.
	Path string
	// Data is the secret.
	Data []byte
}

// LogValue is the path and the size.
func (f File) LogValue() slog.Value { return slog.StringValue(f.String()) }

// String is the path and the size.
func (f File) String() string { return fmt.Sprintf("%s (%d bytes)", f.Path, len(f.Data)) }

// MarshalText is the path and the size.
func (f File) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Format covers every verb, since %x or %#v would otherwise reach into the data.
func (f File) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, f.String()) }

// carries reports whether what Entries does not name stays.
func (c Content) carries(name layout.Name) bool { return c.Rest || c.Carry != nil && c.Carry(name) }

func (c Content) validate() error {
	if c.Mode&^fs.ModePerm != 0 {
		return fmt.Errorf("%w: mode %o has more than permissions", ErrContent, c.Mode)
	}
	if c.GID < 0 {
		return fmt.Errorf("%w: group %d", ErrContent, c.GID)
	}
	if err := c.validateIdentities(); err != nil {
		return err
	}
	names, paths := make(map[layout.Name]bool, len(c.Entries)), make(map[string]bool, len(c.Entries))
	for _, entry := range c.Entries {
		switch {
		case layout.AirflowFile(entry.Kind) == "":
			return fmt.Errorf("%w: %q has the kind %q, which there is not", ErrContent, entry.ID, entry.Kind)
		case names[entry.Name()]:
			return fmt.Errorf("%w: %s %q is there twice", ErrContent, entry.Kind, entry.ID)
		case entry.State != layout.Delivered:
		case !isValueFile(entry.File):
			return fmt.Errorf("%w: %q is no path of a value", ErrContent, entry.File)
		case paths[entry.File]:
			return fmt.Errorf("%w: %q is there twice", ErrContent, entry.File)
		}
		names[entry.Name()], paths[entry.File] = true, true
	}
	return nil
}

// isValueFile leaves out the files that Write makes of all entries together.
func isValueFile(path string) bool {
	return layout.IsValuePath(path) && path != layout.ConnectionsJSON && path != layout.VariablesJSON
}

// dirMode lets those enter a directory who may read its files; root may always, and
// needs no more than the owner's bits to tidy up.
func (c Content) dirMode() fs.FileMode {
	readable := c.Mode & 0o044
	return 0o700 | readable | readable>>2
}
