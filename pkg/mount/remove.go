package mount

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// member is a name in a directory.
type member struct {
	name string
	// isDir and isLink are set if it is known to be a directory or a symbolic link.
	isDir, isLink bool
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

func (d directory) unlink(name string, flags int) error {
	return d.do("unlinkat", name, func() error { return unix.Unlinkat(int(d), name, flags) })
}
