package mount

import (
	"bytes"
	"io"
	"io/fs"
	"os"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// shows tells whether the current generation has this content already, by reading it
// back: so nobody has to keep values in memory to know. Generation and time of the
// manifest do not count. What cannot be read counts as different, and is replaced.
func (v *volume) shows(current Generation, content Content) bool {
	if current.Manifest.Generation == 0 {
		return false
	}
	generation, err := v.root.OpenRoot(current.name)
	if err != nil {
		return false
	}
	defer generation.Close()

	content.Manifest.Fetched = current.Manifest.Fetched
	manifest, err := content.manifest(current.Manifest.Generation)
	if err != nil || countFiles(generation) != len(content.Files) {
		return false
	}
	for _, file := range content.with(manifest) {
		if !holds(generation, file, content.Mode, content.GID) {
			return false
		}
	}
	return true
}

// countFiles is -1 where it cannot be told.
func countFiles(generation *os.Root) int {
	count := 0
	for _, dir := range layout.ValueDirs() {
		names, err := namesIn(generation, dir)
		if err != nil {
			return -1
		}
		count += len(names)
	}
	return count
}

func holds(generation *os.Root, file File, mode fs.FileMode, gid int) bool {
	opened, err := generation.Open(file.Path)
	if err != nil {
		return false
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil || info.Mode() != mode || groupOf(info) != gid || info.Size() != int64(len(file.Data)) {
		return false
	}
	data := make([]byte, len(file.Data))
	_, err = io.ReadFull(opened, data)
	return err == nil && bytes.Equal(data, file.Data)
}
