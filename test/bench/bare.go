package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// enterTmpfs has the directories of all nodes on a tmpfs. ext4 looks past each inode that was
// deleted within the last minutes, so that making a directory would take longer in every
// round than in the one before.
func enterTmpfs() (leave func() error, err error) {
	dir, err := os.MkdirTemp("", "leoflow-bench-")
	if err != nil {
		return nil, err
	}
	if err := unix.Mount("leoflow-bench", dir, "tmpfs", 0, "mode=0700"); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return func() error { return errors.Join(unix.Unmount(dir, 0), os.Remove(dir)) }, os.Setenv("TMPDIR", dir)
}

// bareVolume does with a tmpfs the least that delivering ten files takes, and ending
// them.
func bareVolume(dir string) (mount, unmount time.Duration, err error) {
	start := time.Now()
	if err := errors.Join(mountBare(dir), writeBare(dir)); err != nil {
		return 0, 0, err
	}
	mounted := time.Now()
	err = unmountBare(dir)
	return mounted.Sub(start), time.Since(mounted), err
}

func mountBare(dir string) error {
	return errors.Join(os.Mkdir(dir, 0o700),
		unix.Mount("bare", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=16m"))
}

func unmountBare(dir string) error { return errors.Join(unix.Unmount(dir, 0), os.Remove(dir)) }

// writeBare writes as many files as a volume of the benchmarks has entries.
func writeBare(dir string) error {
	value := make([]byte, 150)
	for i := range entriesPerVolume {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), value, 0o440); err != nil {
			return err
		}
	}
	return nil
}
