//go:build linux

package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Mounter mounts volumes. The zero value is ready; it is safe for concurrent use.
type Mounter struct {
	// mounting makes "look, then mount" one step, so that two calls for one target
	// cannot stack two file systems.
	mounting sync.Mutex
}

// Mount mounts a volume that shows nothing at target, an absolute path whose parent
// exists, and tells whether it is new: a volume that is already there is left as it is. It
// can be entered by root alone until Write shows a generation.
func (m *Mounter) Mount(target string, options Options) (created bool, err error) {
	blank, err := m.blank(target, options)
	if err != nil {
		return false, err
	}
	defer blank.Close()
	return blank.Mount()
}

// resize changes the bounds of the tmpfs whose root dir is. The kernel takes "noswap" if
// and only if it was mounted so.
func resize(dir directory, bytes, inodes int64) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_REMOUNT
	path, data := handlePath(dir), fmt.Sprintf("size=%d,nr_inodes=%d,huge=never", bytes, inodes)
	err := unix.Mount(Source, path, "tmpfs", flags, data+",noswap")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount(Source, path, "tmpfs", flags, data)
	}
	if err != nil {
		return fmt.Errorf("making room: %w", err)
	}
	return nil
}

// makeRoom has the file system hold files beside what it holds. It does where Mount made
// it for this cap; an older release or a smaller cap may have made it too small.
func (v volume) makeRoom(files []File) error {
	usage, err := v.usage()
	if err != nil {
		return err
	}
	bytes := usage.Bytes.Used + Footprint(files)
	inodes := usage.Inodes.Used + int64(len(files)+len(layout.ValueDirs())) + 8
	return resize(v.directory, max(bytes, usage.Bytes.Total), max(inodes, usage.Inodes.Total))
}

// makeTarget makes the directory where there is none, as CSI asks of a plug-in,
// but not its parent, which is the caller's.
func makeTarget(path string) (isMade bool, err error) {
	if err := checkTarget(path); err != nil {
		return false, err
	}
	err = unix.Mkdir(path, 0o750)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("making target path: %w", &fs.PathError{Op: "mkdir", Path: path, Err: err})
	}
	return err == nil, nil
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
