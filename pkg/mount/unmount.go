//go:build linux

package mount

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Unmount ends the volume at target and removes its directory. A target that is not
// mounted, or not there, is as good as unmounted; a directory with content is left
// with ErrNotEmpty, another's mount with ErrForeign.
//
// The files are deleted before the file system is unmounted. Where another mount
// namespace still holds a copy of the mount, or a process an open file, unmounting
// alone would leave the values readable there.
func Unmount(target string) error {
	_, err := End(target)
	return err
}

// End is Unmount, and tells how many bytes of files the volume leaves in memory, since somebody
// has them open.
func End(target string) (left int64, err error) {
	for {
		mounted, open, err := end(target)
		left += open
		if err != nil {
			return left, fmt.Errorf("unmounting: %w", err)
		}
		err = removeTarget(target)
		if !mounted || !errors.Is(err, unix.EBUSY) { // which says that it was mounted on another
			return left, err
		}
	}
}

// end empties and unmounts the volume at target, and tells whether there was one and what it leaves.
func end(target string) (mounted bool, left int64, err error) {
	dir, err := openTarget(target)
	if errors.Is(err, fs.ErrNotExist) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	mounted, err = isVolume(dir, target)
	if err == nil && mounted {
		if err = empty(dir); err == nil {
			usage, _ := usageOf(dir) // nothing depends on it
			left = usage.Bytes.Used
		}
	}
	dir.close()
	if mounted {
		err = errors.Join(err, detach(target))
	}
	return mounted, left, err
}

// empty deletes all that is in the volume whose root dir is.
func empty(dir directory) error {
	root, err := dir.enter(".")
	if err != nil {
		return err
	}
	defer root.close()
	return volume{directory: root}.empty()
}

// detach unmounts lazily if the file system is in use: whoever has a file open keeps
// that file's pages until closing it, but the pod's end does not wait for that.
func detach(target string) error {
	err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(target, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if err != nil {
		return &fs.PathError{Op: "umount", Path: target, Err: err}
	}
	return nil
}

// removeTarget uses rmdir(2) itself, which refuses files and directories with content.
func removeTarget(target string) error {
	err := unix.Rmdir(target)
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.ENOTEMPTY):
		return fmt.Errorf("removing %s: %w: nothing is mounted on it, and the files are not ours", target, ErrNotEmpty)
	default:
		return fmt.Errorf("removing %s: %w", target, err)
	}
}
