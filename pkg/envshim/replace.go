package envshim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Replace writes a file so that whoever opens path finds the old content or the new,
// never a part. It writes a temporary file beside it first, and removes that where it
// fails. A process that is killed cannot, so there is one such file for each path, of a
// fixed name: the next call writes over it and renames it.
func Replace(path string, mode os.FileMode, write func(io.Writer) error) error {
	temp, err := lockTemp(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".leoflow-tmp"))
	if err != nil {
		return fmt.Errorf("replacing %s: %w", path, err)
	}
	defer func() { _ = temp.Close() }() // which gives the lock back
	if err = fill(temp, mode, write); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("replacing %s: %w", path, errors.Join(err, os.Remove(temp.Name())))
	}
	return nil
}

// fill writes through a handle of its own, which is closed before the file has its
// final name: no program can be started from a file that is open for writing.
func fill(temp *os.File, mode os.FileMode, write func(io.Writer) error) error {
	same := fmt.Sprintf("/proc/self/fd/%d", temp.Fd())
	handle, err := unix.Open(same, unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s once more: %w", temp.Name(), err)
	}
	out := os.NewFile(uintptr(handle), temp.Name())
	// What a killed process left may have its final mode already.
	return errors.Join(out.Chmod(0o600), write(out), out.Chmod(mode), out.Close())
}
