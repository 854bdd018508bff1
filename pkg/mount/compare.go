package mount

import (
	"bytes"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// has tells whether the generation has these files, and none besides, by reading it back:
// so nobody has to keep values in memory to know. What cannot be read counts as different,
// and is replaced.
func (s *standing) has(files []File, mode fs.FileMode, gid int) bool {
	if s.files == nil {
		return false
	}
	for _, file := range files {
		if !s.files.has(file, mode, gid) {
			return false
		}
	}
	return s.files.count() == len(files)
}

// count is how many values there are; -1 where it cannot be told.
func (f *files) count() int {
	count := 0
	for i := range f.values {
		dir := f.value(i)
		if i == len(layout.ValueDirs()) && dir == closed {
			continue // there is no identity
		}
		members, err := dir.members()
		if err != nil {
			return -1
		}
		count += len(members)
	}
	return count
}

func (f *files) has(file File, mode fs.FileMode, gid int) bool {
	dir, name := f.locate(file.Path)
	fd, err := dir.open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	if err := dir.stat(fd, name, &stat); err != nil {
		return false
	}
	if uint64(stat.Mode) != uint64(unix.S_IFREG|uint32(mode)) || int(stat.Gid) != gid || stat.Size != int64(len(file.Data)) {
		return false
	}
	data := make([]byte, len(file.Data))
	return dir.fill(fd, name, data) == nil && bytes.Equal(data, file.Data)
}
