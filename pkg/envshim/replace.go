package envshim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Install copies the running program into dir as "agent" and returns the copy's path. A
// program that runs from an older copy goes on undisturbed.
func Install(dir string) (string, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s does not exist: mount the emptyDir there that the other containers have, too (volumeMounts)", dir)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("opening the agent itself: %w", err)
	}
	defer func() { _ = self.Close() }()
	path := filepath.Join(dir, "agent")
	return path, Replace(path, 0o755, func(out io.Writer) error {
		_, err := io.Copy(out, self)
		return err
	})
}

// Replace writes a file so that whoever opens path finds the old content or the new,
// never a part. It writes a temporary file beside it first, and removes that where it
// fails. A process that is killed cannot, so there is one such file for each path, of a
// fixed name: the next call removes it. Others who replace a file of the directory wait.
func Replace(path string, mode os.FileMode, write func(io.Writer) error) error {
	dir, name := filepath.Dir(path), filepath.Base(path)
	unlock, err := lock(dir)
	if err == nil {
		defer unlock()
		err = replace(filepath.Join(dir, "."+name+".leoflow-tmp"), path, mode, write)
	}
	if err != nil {
		return fmt.Errorf("replacing %s: %w", path, err)
	}
	return nil
}

func replace(temp, path string, mode os.FileMode, write func(io.Writer) error) error {
	if err := remove(temp); err != nil {
		return err
	}
	err := create(temp, mode, write)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		err = errors.Join(err, remove(temp))
	}
	return err
}

// lock keeps a directory to this caller. NFS locks nothing that is open for reading alone:
// there, two who replace one file at once are in each other's way.
func lock(dir string) (unlock func(), err error) {
	held, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil && !errors.Is(err, unix.EBADF) {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), held.Close())
	}
	return func() { _ = held.Close() }, nil
}

// create makes a new file, never one that somebody else put there to read along. It is closed
// before it has its final name: no program can be started from a file that is open for writing.
func create(path string, mode os.FileMode, write func(io.Writer) error) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(out), out.Chmod(mode), out.Close())
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
