package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// MaxManifestSize bounds what ParseManifest reads: some twenty thousand entries.
const MaxManifestSize = 4 << 20

// ErrManifest is wrapped by every error of ParseManifest.
var ErrManifest = errors.New("unusable manifest")

// ParseManifest decodes a manifest and makes sure that a reader can rely on it: this
// code knows its schema, and every file it names lies beneath the volume.
func ParseManifest(data []byte) (Manifest, error) {
	if len(data) > MaxManifestSize {
		return Manifest{}, fmt.Errorf("%w: over %d bytes", ErrManifest, MaxManifestSize)
	}
	manifest, err := decode(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if err := manifest.validate(); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	return manifest, nil
}

// Encode is the manifest's form on disk, indented for those who read it in a shell.
// Equal manifests encode to equal bytes.
func (m Manifest) Encode() ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("encoding manifest: %w", err)
	}
	if m.Entries == nil {
		m.Entries = []Entry{} // which JSON has as [], and readers go through
	}
	compact, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding manifest: %w", err)
	}
	return append(appendIndented(make([]byte, 0, 2*len(compact)), compact), '\n'), nil
}

func (m Manifest) validate() error {
	if m.Schema < 1 {
		return errors.New("it states no schema")
	}
	if m.Schema > Schema {
		return fmt.Errorf("schema %d is newer than %d, the newest this program reads: upgrade it", m.Schema, Schema)
	}
	for _, entry := range m.Entries {
		if err := entry.validate(); err != nil {
			return err
		}
	}
	return m.validateIdentities()
}

func (e Entry) validate() error {
	switch {
	case e.State != Delivered && (e.File != "" || e.Env != ""):
		return fmt.Errorf("%s %q is %q, yet names a file or a variable", e.Kind, e.ID, e.State)
	case e.State != Delivered && e.Held != nil:
		return fmt.Errorf("%s %q is %q, yet held", e.Kind, e.ID, e.State)
	case e.State == Delivered && !IsValuePath(e.File):
		return fmt.Errorf("%s %q names %q, which is no file of a volume", e.Kind, e.ID, e.File)
	}
	return nil
}

// ValueDirs are the directories of a volume; all of them are there in every
// generation.
func ValueDirs() []string { return []string{ConnectionsDir, VariablesDir, AirflowDir} }

// IsValuePath tells whether path names a file directly in one of ValueDirs.
func IsValuePath(path string) bool {
	dir, name, found := strings.Cut(path, "/")
	if !found || strings.ContainsAny(name, "/\x00") || !fs.ValidPath(path) {
		return false
	}
	return dir == ConnectionsDir || dir == VariablesDir || dir == AirflowDir
}
