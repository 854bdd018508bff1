package mount

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// directory is the descriptor of a directory that is held open. Whatever is done in it is
// done to a single name relative to the descriptor: no path is resolved, so no link leads
// elsewhere.
//
// The package makes the system calls itself. An os.File registers its descriptor with the
// runtime's poller, which no file of a tmpfs needs: for each file written that was three
// calls more than the file takes.
type directory int

// closed is the directory that is not open.
const closed directory = -1

func (d directory) close() {
	if d != closed {
		_ = unix.Close(int(d))
	}
}

// do makes a system call about name in the directory.
func (directory) do(operation, name string, system func() error) error {
	if !isName(name) {
		return &fs.PathError{Op: operation, Path: name, Err: fs.ErrInvalid}
	}
	return call(operation, name, system)
}

// call makes a system call, and repeats it when a signal interrupted it.
func call(operation, name string, system func() error) error {
	for {
		err := system()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR):
			return &fs.PathError{Op: operation, Path: name, Err: err}
		}
	}
}

func isName(name string) bool {
	return name != "" && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// open does not follow a link.
func (d directory) open(name string, flags int, mode uint32) (fd int, err error) {
	err = d.do("openat", name, func() (err error) {
		fd, err = unix.Openat(int(d), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// enter opens a directory in d; "." opens d itself once more.
func (d directory) enter(name string) (directory, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return closed, err
	}
	return directory(fd), nil
}

// mkdir makes a directory that root alone can enter, and opens it.
func (d directory) mkdir(name string) (directory, error) {
	err := d.do("mkdirat", name, func() error { return unix.Mkdirat(int(d), name, 0o700) })
	if err != nil {
		return closed, err
	}
	return d.enter(name)
}

// create writes a file that is not there yet.
func (d directory) create(name string, data []byte, to *access) error {
	fd, err := d.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, uint32(to.mode))
	if err != nil {
		return err
	}
	if err = d.write(fd, name, data); err == nil {
		err = to.give(d, fd, name)
	}
	return errors.Join(err, unix.Close(fd))
}

// write goes on after a part was written, and learns from the next call why it was no more.
func (d directory) write(fd int, name string, data []byte) error {
	return d.do("write", name, func() error {
		for len(data) > 0 {
			n, err := unix.Write(fd, data)
			if err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	})
}

// trusted is what is read of a file whatever it takes: a disk may tell late, or pack it.
const trusted = 64 << 10

// read returns what is in a file, and what the system knows of it. A long file that says to be
// longer than the memory it takes was not written by this package.
func (d directory) read(name string) (data []byte, stat unix.Stat_t, err error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0) // nobody waits for who writes to a pipe
	if err != nil {
		return nil, stat, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := d.stat(fd, name, &stat); err != nil {
		return nil, stat, err
	}
	if stat.Size > max(stat.Blocks*512, trusted) {
		return nil, stat, &fs.PathError{Op: "read", Path: name, Err: io.ErrUnexpectedEOF}
	}
	data = make([]byte, stat.Size)
	return data, stat, d.fill(fd, name, data)
}

func (d directory) stat(fd int, name string, into *unix.Stat_t) error {
	return d.do("fstat", name, func() error { return unix.Fstat(fd, into) })
}

// fill reads as much as there is room for. A file that ends before is an error.
func (d directory) fill(fd int, name string, room []byte) error {
	return d.do("read", name, func() error {
		for len(room) > 0 {
			n, err := unix.Read(fd, room)
			switch {
			case err != nil:
				return err
			case n == 0:
				return io.ErrUnexpectedEOF
			}
			room = room[n:]
		}
		return nil
	})
}

func (d directory) readlink(name string) (string, error) {
	var target [unix.NAME_MAX + 1]byte
	length := 0
	err := d.do("readlinkat", name, func() (err error) {
		length, err = unix.Readlinkat(int(d), name, target[:])
		return err
	})
	return string(target[:max(0, length)]), err
}

func (d directory) symlink(target, name string) error {
	return d.do("symlinkat", name, func() error { return unix.Symlinkat(target, int(d), name) })
}

func (d directory) rename(from, to string) error {
	return d.do("renameat", from, func() error {
		if !isName(to) {
			return fs.ErrInvalid
		}
		return unix.Renameat(int(d), from, int(d), to)
	})
}

// touch sets a file's times. It wakes nobody who watches the volume for new content.
func (d directory) touch(name string, at time.Time) error {
	stamp, err := unix.TimeToTimespec(at)
	if err != nil {
		return &fs.PathError{Op: "utimensat", Path: name, Err: err}
	}
	return d.do("utimensat", name, func() error {
		return unix.UtimesNanoAt(int(d), name, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// access is the mode and the group that files are to have which are made one after the
// other in the same way.
type access struct {
	mode fs.FileMode
	gid  int
	// known is set once the first was looked at, and these if it had them.
	known, hasMode, hasGroup bool
}

// give gives what fd has open its mode and group, the group first: changing it may clear
// bits of the mode. What is right already is not touched: that would wake watchers. What the
// kernel gave the first file, by the umask and the process's group, it gives the others.
func (a *access) give(d directory, fd int, name string) error {
	if !a.known {
		var stat unix.Stat_t
		if err := d.stat(fd, name, &stat); err != nil {
			return err
		}
		a.known, a.hasGroup, a.hasMode = true, int(stat.Gid) == a.gid, fs.FileMode(stat.Mode)&fs.ModePerm == a.mode
	}
	if !a.hasGroup {
		if err := d.do("fchown", name, func() error { return unix.Fchown(fd, -1, a.gid) }); err != nil {
			return err
		}
	}
	if a.hasMode {
		return nil
	}
	return d.do("fchmod", name, func() error { return unix.Fchmod(fd, uint32(a.mode)) })
}
