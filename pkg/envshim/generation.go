package envshim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// What a reader accepts, so that nothing in a volume can exhaust its memory. A driver
// stays far below.
const (
	maxValueSize = 4 << 20
	maxTotalSize = 64 << 20
)

// readGeneration reads everything beneath one handle. os.Root keeps each path, links
// included, within it.
func readGeneration(generation *os.Root) (Snapshot, error) {
	manifest, err := readManifest(generation)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", layout.ManifestFile, err)
	}
	snapshot := Snapshot{Manifest: manifest}
	remaining := int64(maxTotalSize)
	for _, entry := range manifest.Entries {
		if entry.State != layout.Delivered {
			continue
		}
		value, err := readValue(generation, entry.File, min(maxValueSize, remaining))
		if err != nil {
			return Snapshot{}, fmt.Errorf("%s %q: %w", entry.Kind, entry.ID, err)
		}
		remaining -= int64(value.Len())
		snapshot.Entries = append(snapshot.Entries, Entry{entry.Kind, entry.ID, entry.Env, value})
	}
	return snapshot, nil
}

func readManifest(generation *os.Root) (layout.Manifest, error) {
	file, _, err := openRegular(generation, layout.ManifestFile)
	if err != nil {
		return layout.Manifest{}, err
	}
	defer func() { _ = file.Close() }()
	return layout.ReadManifest(file)
}

func readValue(generation *os.Root, name string, limit int64) (secret.Text, error) {
	file, size, err := openRegular(generation, name)
	if err != nil {
		return secret.Text{}, err
	}
	defer func() { _ = file.Close() }()
	if size > limit {
		return secret.Text{}, fmt.Errorf("%s holds %d bytes, more than a reader accepts", name, size)
	}
	value := make([]byte, size)
	if _, err := io.ReadFull(file, value); err != nil {
		return secret.Text{}, err
	}
	return secret.New(string(value)), nil
}

// openRegular opens a regular file and tells its size. It opens without blocking, so
// that a pipe in a file's place cannot hold the reader.
func openRegular(generation *os.Root, name string) (*os.File, int64, error) {
	file, err := generation.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}
