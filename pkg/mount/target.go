package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openTarget opens the directory at path as a handle that can be looked at and
// mounted on. A link at the end of path is not followed. Links before it are: the
// kubelet's directory may be one, and only root can change them.
func openTarget(path string) (directory, error) {
	if err := checkTarget(path); err != nil {
		return closed, err
	}
	dir, err := openPath(path, unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return closed, fmt.Errorf("opening %s: %w: it is a link or a file, not a directory", path, ErrTarget)
	}
	if err != nil {
		return closed, fmt.Errorf("opening target path: %w", err)
	}
	return dir, nil
}

func checkTarget(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return fmt.Errorf("opening %q: %w: it must be absolute and clean", path, ErrTarget)
	}
	return nil
}

// openPath opens a directory without waking what is mounted there.
func openPath(path string, flags int) (directory, error) {
	for {
		fd, err := unix.Open(path, flags|openOnly|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return directory(fd), nil
		case !errors.Is(err, unix.EINTR):
			return closed, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}
