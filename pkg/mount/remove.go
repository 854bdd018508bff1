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

// member is a name in a directory.
type member struct {
	name string
	// isDir and isLink are set if it is known to be a directory or a symbolic link.
	isDir, isLink bool
}

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

// remove deletes what has the name, and all that is in it. There may be nothing.
func (d directory) remove(name string) error { return d.removeMember(member{name: name}) }

func (d directory) removeMember(one member) error {
	var err error = unix.EISDIR
	if !one.isDir {
		err = d.unlink(one.name, 0)
	}
	if errors.Is(err, unix.EISDIR) {
		err = d.removeTree(one.name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d directory) removeTree(name string) error {
	inner, err := d.enterOwn(name)
	if err != nil {
		return err
	}
	defer inner.close()
	if err := inner.clear(); err != nil {
		return err
	}
	return d.unlink(name, unix.AT_REMOVEDIR)
}

// clear deletes all that is in d.
func (d directory) clear() error {
	members, err := d.members()
	if err != nil {
		return err
	}
	for _, one := range members {
		if err := d.removeMember(one); err != nil {
			return err
		}
	}
	return nil
}

// clearFiles deletes the files in d and beneath it, and leaves directories and links to whoever
// unmounts the file system. One that cannot be deleted keeps no other.
func (d directory) clearFiles() error {
	members, err := d.members()
	for _, one := range members {
		switch {
		case one.isLink:
		case one.isDir:
			err = errors.Join(err, d.clearFilesIn(one.name))
		default:
			err = errors.Join(err, d.removeMember(one))
		}
	}
	return err
}

func (d directory) clearFilesIn(name string) error {
	inner, err := d.enterOwn(name)
	if err != nil {
		return err
	}
	defer inner.close()
	return inner.clearFiles()
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

func (d directory) unlink(name string, flags int) error {
	return d.do("unlinkat", name, func() error { return unix.Unlinkat(int(d), name, flags) })
}
