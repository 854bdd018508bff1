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
	for {
		mounted, err := IsMounted(target)
		if err != nil {
			return fmt.Errorf("unmounting: %w", err)
		}
		if !mounted {
			return removeTarget(target)
		}
		if err := errors.Join(empty(target), detach(target)); err != nil {
			return fmt.Errorf("unmounting %s: %w", target, err)
		}
	}
}

// detach unmounts lazily if the file system is in use: whoever has a file open keeps
// that file's pages until closing it, but the pod's end does not wait for that.
func detach(target string) error {
	err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		return unix.Unmount(target, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	return err
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

// empty deletes all that is in the volume, its link to the data first, so that what
// remains for a moment does not pass for complete.
func empty(target string) error {
	volume, err := openVolume(target)
	if err != nil {
		return err
	}
	defer volume.close()
	return volume.empty()
}
