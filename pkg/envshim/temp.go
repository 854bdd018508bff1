package envshim

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockTemp opens the temporary file of that name, for this caller alone until it is
// closed. Others who replace the same file wait.
func lockTemp(name string) (*os.File, error) {
	for {
		file, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, err
		}
		named, err := lockNamed(file)
		if named && err == nil {
			return file, nil
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
	}
}

// lockNamed locks file and tells whether it has its name then: whoever held the lock
// before renamed or removed it.
func lockNamed(file *os.File) (named bool, err error) {
	opened, err := file.Stat()
	if err != nil {
		return false, err
	}
	if !isOwn(opened) {
		return false, fmt.Errorf("%s is not a file of this user's own; remove it", file.Name())
	}
	// NFS locks nothing that is open for reading alone. There, two who replace one file
	// at once are in each other's way.
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil && !errors.Is(err, unix.EBADF) {
		return false, fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	present, err := os.Lstat(file.Name())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, present), err
}

// isOwn tells a file that an earlier call made from one that another user put there to
// read along.
func isOwn(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(stat.Uid) == unix.Geteuid() && stat.Nlink <= 1
}
