package mount

import (
	"bytes"
	"io"
	"io/fs"
	"os"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// has tells whether the generation has these files, and none besides, by reading it back:
// so nobody has to keep values in memory to know. What cannot be read counts as different,
// and is replaced.
func (s *standing) has(files []File, mode fs.FileMode, gid int) bool {
	if s.root == nil || countFiles(s.root) != len(files) {
		return false
	}
	for _, file := range files {
		if !holds(s.root, file, mode, gid) {
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
