package mount

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openOnly opens a directory as it opens any: there is no handle that only names one.
const openOnly = unix.O_RDONLY

// members lists what is in d, from the first on.
func (d directory) members() (all []member, err error) {
	fd, err := unix.FcntlInt(uintptr(d), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "fcntl", Path: ".", Err: err}
	}
	opened := os.NewFile(uintptr(fd), ".")
	defer func() { _ = opened.Close() }()
	if _, err := opened.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	entries, err := opened.ReadDir(-1)
	for _, one := range entries {
		all = append(all, member{one.Name(), one.IsDir(), one.Type() == fs.ModeSymlink})
	}
	return all, err
}

// enterOwn opens a directory in d, in which all is to be deleted, unless another file system is
// mounted on it: what is in that is somebody else's.
func (d directory) enterOwn(name string) (directory, error) {
	inner, err := d.enter(name)
	if err != nil {
		return closed, err
	}
	var outside, inside unix.Stat_t
	if err = d.stat(int(d), ".", &outside); err == nil {
		err = inner.stat(int(inner), ".", &inside)
	}
	if err == nil && outside.Dev != inside.Dev {
		err = fmt.Errorf("deleting %s: %w", name, ErrForeign)
	}
	if err != nil {
		inner.close()
		return closed, err
	}
	return inner, nil
}

// usageOf is of a mounted volume, which there is on Linux alone.
func usageOf(directory) (Usage, error) { return Usage{}, ErrForeign }

// makeRoom is of a mounted volume, too.
func (volume) makeRoom([]File) error { return ErrForeign }

// isInMemory tells a tmpfs from a disk.
func isInMemory(dir directory) (bool, error) {
	var stat unix.Statfs_t
	err := dir.do("fstatfs", ".", func() error { return unix.Fstatfs(int(dir), &stat) })
	return unix.ByteSliceToString(stat.Fstypename[:]) == "tmpfs", err
}
