package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

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
		fd, err := unix.Open(path, flags|unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return directory(fd), nil
		case !errors.Is(err, unix.EINTR):
			return closed, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// makeOrOpenTarget makes the directory where there is none, as CSI asks of a plug-in,
// but not its parent, which is the caller's.
func makeOrOpenTarget(path string) (dir directory, made bool, err error) {
	if err := checkTarget(path); err != nil {
		return closed, false, err
	}
	switch err := unix.Mkdir(path, 0o750); {
	case err == nil:
		made = true
	case !errors.Is(err, fs.ErrExist):
		return closed, false, fmt.Errorf("making target path: %w", &fs.PathError{Op: "mkdir", Path: path, Err: err})
	}
	dir, err = openTarget(path)
	return dir, made, err
}

// checkEmpty refuses to hide files: they would be in the way of removing the directory
// once the volume is gone.
func checkEmpty(dir directory, target string) error {
	var members []member
	readable, err := dir.enter(".")
	if err == nil {
		members, err = readable.members()
		readable.close()
	}
	switch {
	case err != nil:
		return fmt.Errorf("looking into %s: %w", target, err)
	case len(members) > 0:
		return fmt.Errorf("mounting on %s: %w: it holds files that are not ours", target, ErrNotEmpty)
	}
	return nil
}

// isVolume tells whether dir is the root of a volume of ours; whatever else is mounted
// there is ErrForeign.
func isVolume(dir directory, target string) (bool, error) {
	at, err := mountOf(dir)
	if err == nil && at.isRoot {
		var info Info
		if info, err = at.info(dir); err == nil && !info.isVolume() {
			err = ErrForeign
		}
	}
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", target, err)
	}
	return at.isRoot, nil
}

// handlePath is a path by which the kernel reaches exactly what dir has open.
func handlePath(dir directory) string { return "/proc/self/fd/" + strconv.Itoa(int(dir)) }

// IsMounted tells whether a volume of ours is mounted at target. A target that is not
// there has none; another mount there is ErrForeign.
func IsMounted(target string) (bool, error) {
	dir, err := openTarget(target)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.close()
	return isVolume(dir, target)
}
