package envshim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// directory is the descriptor of a directory. Below a volume each name is looked up relative to
// one, and no link is followed, so nothing leads out of the volume.
//
// The system calls are made directly. An os.Root looks each directory of a path up anew, and an
// os.File registers its descriptor with the runtime's poller, which no file of a tmpfs needs: of
// what it takes 'agent exec' to read ten entries that was more than half.
type directory int

// openVolume follows links, as all do that open a path.
func openVolume(path string) (directory, error) {
	fd, err := openat(unix.AT_FDCWD, path, openOnly|unix.O_DIRECTORY)
	return directory(fd), err
}

func (d directory) close() { _ = unix.Close(int(d)) }

func (d directory) open(name string) (directory, error) {
	fd, err := openat(int(d), name, openOnly|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	return directory(fd), err
}

// readlink is what a link says; the name of a file has at most 255 bytes.
func (d directory) readlink(name string) (string, error) {
	var target [256]byte
	n, err := unix.Readlinkat(int(d), name, target[:])
	if err != nil {
		return "", &fs.PathError{Op: "readlinkat", Path: name, Err: err}
	}
	return string(target[:n]), nil
}

// files are those of a generation.
type files struct {
	top    directory
	opened map[string]directory // below top
	room   []byte               // what was read last
}

func (f *files) close() {
	f.top.close()
	for _, directory := range f.opened {
		directory.close()
	}
}

// read returns what is in a regular file in top, or in a directory of it, until the next call.
func (f *files) read(path string, limit int) ([]byte, error) {
	in, name, err := f.locate(path)
	if err != nil {
		return nil, err
	}
	// Without blocking, so that a pipe in the file's place cannot hold the reader.
	fd, err := openat(int(in), name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW)
	if err != nil {
		return nil, cannotOpen(path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	switch err := unix.Fstat(fd, &stat); {
	case err != nil:
		return nil, &fs.PathError{Op: "fstat", Path: path, Err: err}
	case stat.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("%s is not a regular file", path)
	case stat.Size > int64(limit):
		return nil, fmt.Errorf("%s holds %d bytes, more than a reader accepts", path, stat.Size)
	}
	if int64(cap(f.room)) < stat.Size {
		f.room = make([]byte, stat.Size)
	}
	f.room = f.room[:stat.Size]
	if err := fill(fd, f.room); err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return f.room, nil
}

// locate opens the directory of a path of one or two names.
func (f *files) locate(path string) (in directory, name string, err error) {
	parent, name, isBelow := strings.Cut(path, "/")
	if !fs.ValidPath(path) || strings.Contains(name, "/") {
		return 0, "", &fs.PathError{Op: "openat", Path: path, Err: fs.ErrInvalid}
	}
	if !isBelow {
		return f.top, path, nil
	}
	in, isOpen := f.opened[parent]
	if isOpen {
		return in, name, nil
	}
	if in, err = f.top.open(parent); err != nil {
		return 0, "", cannotOpen(path, err)
	}
	if f.opened == nil {
		f.opened = map[string]directory{}
	}
	f.opened[parent] = in
	return in, name, nil
}

func cannotOpen(path string, err error) error {
	if errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("%s is not a regular file", path)
	}
	return &fs.PathError{Op: "openat", Path: path, Err: err}
}

// openat repeats a call that a signal interrupted; some file systems let it.
func openat(in int, name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Openat(in, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// fill reads as much as there is room for. A file that ends before is an error.
func fill(fd int, room []byte) error {
	for len(room) > 0 {
		n, err := unix.Read(fd, room)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		default:
			room = room[n:]
		}
	}
	return nil
}
