package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// volume is the root of a mounted tmpfs, held open: all that is done to it goes
// through root, whatever becomes of the path.
type volume struct {
	dir  *os.File // O_PATH: good for questions about the file system
	root *os.Root
}

// openVolume opens the volume at target. A directory on which nothing is mounted is
// refused, so that no value is ever written to the disk beneath.
func openVolume(target string) (*volume, error) {
	dir, err := openTarget(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("opening %s: %w", target, ErrNotMounted)
	}
	if err != nil {
		return nil, err
	}
	root, err := openRoot(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", target, err), dir.Close())
	}
	return &volume{dir: dir, root: root}, nil
}

func openRoot(dir *os.File) (*os.Root, error) {
	_, isRoot, err := mountOf(dir)
	if err != nil {
		return nil, err
	}
	if !isRoot {
		return nil, ErrNotMounted
	}
	if _, err := usageOf(dir); err != nil {
		return nil, err
	}
	return os.OpenRoot(handlePath(dir))
}

func (v *volume) close() { _ = errors.Join(v.root.Close(), v.dir.Close()) }

// names lists what is at the volume's root.
func (v *volume) names() ([]string, error) { return namesIn(v.root, ".") }

func namesIn(root *os.Root, path string) ([]string, error) {
	dir, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// empty deletes everything, the data link first.
func (v *volume) empty() error {
	if err := v.root.RemoveAll(layout.DataLink); err != nil {
		return err
	}
	names, err := v.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := v.root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes what a killed writer left: the temporary link and every generation
// but the one named keep.
func (v *volume) sweep(keep string) error {
	names, err := v.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "..") || name == layout.DataLink || name == keep {
			continue
		}
		if err := v.root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// own gives path its group and mode, the group first: changing it may clear bits of
// the mode. What is right already is not touched, since each change wakes watchers.
func own(root *os.Root, path string, mode fs.FileMode, gid int) error {
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if groupOf(info) != gid {
		if err := root.Lchown(path, -1, gid); err != nil {
			return err
		}
	}
	if info.Mode().Perm() != mode {
		return root.Chmod(path, mode)
	}
	return nil
}

func groupOf(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Gid)
}
