package mount

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// openTarget opens the directory at path as a handle that can be looked at and
// mounted on. A link at the end of path is not followed. Links before it are: the
// kubelet's directory may be one, and only root can change them.
func openTarget(path string) (*os.File, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return nil, fmt.Errorf("opening %q: %w: it must be absolute and clean", path, ErrTarget)
	}
	dir, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("opening %s: %w: it is a link or a file, not a directory", path, ErrTarget)
	}
	if err != nil {
		return nil, fmt.Errorf("opening target path: %w", err)
	}
	return dir, nil
}

// openOrMakeTarget makes the directory where there is none, as CSI asks of a plug-in,
// but not its parent, which is the caller's.
func openOrMakeTarget(path string) (dir *os.File, made bool, err error) {
	dir, err = openTarget(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, false, err
	}
	if err := os.Mkdir(path, 0o750); err != nil {
		return nil, false, fmt.Errorf("making target path: %w", err)
	}
	dir, err = openTarget(path)
	return dir, true, err
}

// checkEmpty refuses to hide files: they would be in the way of removing the directory
// once the volume is gone.
func checkEmpty(dir *os.File) error {
	readable, err := os.Open(handlePath(dir))
	if err != nil {
		return fmt.Errorf("looking into %s: %w", dir.Name(), err)
	}
	defer readable.Close()
	_, err = readable.Readdirnames(1)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("looking into %s: %w", dir.Name(), err)
	}
	return fmt.Errorf("mounting on %s: %w: it holds files that are not ours", dir.Name(), ErrNotEmpty)
}

// isVolume tells whether dir is the root of a volume of ours; whatever else is mounted
// there is ErrForeign.
func isVolume(dir *os.File) (bool, error) {
	id, isRoot, err := mountOf(dir)
	if err == nil && isRoot {
		err = recognize(id)
	}
	if err != nil {
		return false, fmt.Errorf("looking at %s: %w", dir.Name(), err)
	}
	return isRoot, nil
}

// recognize reads the list of mounts, which grows with the node's pods. So it is called
// only where something is mounted, hence not when a volume is published for the first
// time.
func recognize(id uint64) error {
	infos, err := readMountinfo(func(info Info) bool { return info.ID == id })
	if err != nil {
		return err
	}
	if len(infos) != 1 || !infos[0].isVolume() {
		return ErrForeign
	}
	return nil
}

// mountOf tells which mount dir is on, and whether dir is that mount's root.
func mountOf(dir *os.File) (id uint64, isRoot bool, err error) {
	var stat unix.Statx_t
	if err := unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stat); err != nil {
		return 0, false, err
	}
	if stat.Mask&unix.STATX_MNT_ID == 0 || stat.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return 0, false, errors.New("this kernel does not tell a mount point; 5.8 or later does")
	}
	return stat.Mnt_id, stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// handlePath is a path by which the kernel reaches exactly what file has open.
func handlePath(file *os.File) string {
	return "/proc/self/fd/" + strconv.Itoa(int(file.Fd()))
}

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
	defer dir.Close()
	return isVolume(dir)
}
