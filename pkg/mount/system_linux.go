package mount

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// openOnly opens a directory without waking what is mounted there.
const openOnly = unix.O_PATH

// members lists what is in d, from the first on.
func (d directory) members() (all []member, err error) {
	if _, err := unix.Seek(int(d), 0, io.SeekStart); err != nil {
		return nil, &fs.PathError{Op: "lseek", Path: ".", Err: err}
	}
	var buffer [2 << 10]byte // on a stack that grows when it has to
	for {
		length := 0
		err := d.do("getdents", ".", func() (err error) {
			length, err = unix.Getdents(int(d), buffer[:])
			return err
		})
		if err != nil || length == 0 {
			return all, err
		}
		all = appendMembers(all, buffer[:length])
	}
}

// appendMembers reads what getdents64(2) wrote: for each name its inode and its place, eight
// bytes each, the length of all that, two bytes, the type, one, and the name up to a NUL.
func appendMembers(all []member, text []byte) []member {
	const atLength, atType, atName = 16, 18, 19
	for len(text) > atName {
		length := int(binary.NativeEndian.Uint16(text[atLength:]))
		if length <= atName || length > len(text) {
			break
		}
		name, _, _ := strings.Cut(string(text[atName:length]), "\x00")
		if name != "." && name != ".." {
			all = append(all, member{name, text[atType] == unix.DT_DIR, text[atType] == unix.DT_LNK})
		}
		text = text[length:]
	}
	return all
}

// enterOwn opens a directory in d, in which all is to be deleted, unless another file system is
// mounted on it: what is in that is somebody else's.
func (d directory) enterOwn(name string) (inner directory, err error) {
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_XDEV}
	inner = closed
	err = d.do("openat2", name, func() error {
		fd, err := unix.Openat2(int(d), name, &how)
		if err == nil {
			inner = directory(fd)
		}
		return err
	})
	if errors.Is(err, unix.EXDEV) {
		err = fmt.Errorf("deleting %s: %w", name, ErrForeign)
	}
	return inner, err
}

// usageOf asks the file system that dir is on, and makes sure that it is a tmpfs.
func usageOf(dir directory) (Usage, error) {
	var stat unix.Statfs_t
	if err := dir.do("fstatfs", ".", func() error { return unix.Fstatfs(int(dir), &stat) }); err != nil {
		return Usage{}, err
	}
	if stat.Type != unix.TMPFS_MAGIC {
		return Usage{}, ErrForeign
	}
	return Usage{
		Bytes:  amount(stat.Blocks, stat.Bfree, stat.Bsize),
		Inodes: amount(stat.Files, stat.Ffree, 1),
	}, nil
}

func amount(total, free uint64, unit int64) Amount {
	return Amount{
		Total:     int64(total) * unit,
		Used:      int64(total-free) * unit,
		Available: int64(free) * unit,
	}
}

// isInMemory tells a tmpfs from a disk.
func isInMemory(dir directory) (bool, error) {
	var stat unix.Statfs_t
	err := dir.do("fstatfs", ".", func() error { return unix.Fstatfs(int(dir), &stat) })
	return stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC, err
}
