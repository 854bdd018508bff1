package mount

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Content is what a volume is to show.
type Content struct {
	// Files lie in layout.ValueDirs, each path once, and among them what Manifest names.
	Files []File
	// Manifest describes Files. Write sets its Schema and Generation.
	Manifest layout.Manifest
	// Mode is of every file; a directory can be entered by whom Mode lets read.
	Mode fs.FileMode
	// GID is the group of all files and directories, the pod's fsGroup; 0 without one.
	GID int
}

// File is one file of a volume. It prints without its data.
type File struct {
	// Path is relative to the volume and slash-separated.
	Path string
	// Data is the secret. The package reads it only while a call lasts.
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

func (c Content) validate() error {
	if c.Mode&^fs.ModePerm != 0 {
		return fmt.Errorf("%w: mode %o has more than permissions", ErrContent, c.Mode)
	}
	if c.GID < 0 {
		return fmt.Errorf("%w: group %d", ErrContent, c.GID)
	}
	paths := make(map[string]bool, len(c.Files))
	for _, file := range c.Files {
		if !layout.IsValuePath(file.Path) {
			return fmt.Errorf("%w: %q is no path of a volume", ErrContent, file.Path)
		}
		if paths[file.Path] {
			return fmt.Errorf("%w: %q is there twice", ErrContent, file.Path)
		}
		paths[file.Path] = true
	}
	for _, entry := range c.Manifest.Entries {
		if entry.State == layout.Delivered && !paths[entry.File] {
			return fmt.Errorf("%w: the manifest names %q, which is not among the files", ErrContent, entry.File)
		}
	}
	return nil
}

// dirMode lets those enter a directory who may read its files; root may always, and
// needs no more than the owner's bits to tidy up.
func (c Content) dirMode() fs.FileMode {
	readable := c.Mode & 0o044
	return 0o700 | readable | readable>>2
}

// manifest encodes the manifest as generation number generation has it.
func (c Content) manifest(generation uint64) ([]byte, error) {
	manifest := c.Manifest
	manifest.Schema = layout.Schema
	manifest.Generation = generation
	return manifest.Encode()
}

// with is all files, the manifest last. The caller's slice stays as it is: volumes may
// share it.
func (c Content) with(manifest []byte) []File {
	return append(slices.Clip(c.Files), File{Path: layout.ManifestFile, Data: manifest})
}
