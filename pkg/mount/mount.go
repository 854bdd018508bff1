// Package mount puts a pod's files where they belong: on a tmpfs that exists only for
// one volume, replaced as a whole by one rename. It runs on Linux 5.8 or later and
// nowhere else.
//
//	mounter.Blank makes a tmpfs that is mounted nowhere yet
//	blank.Fill    gives it its first generation
//	blank.Mount   mounts it at the target path
//	Write         makes a volume show a generation, or vouches for the one that it shows
//	Current       tells what a volume shows
//	Unmount       ends a volume, values first
//
// State is what the kernel knows: after a restart, List finds the volumes and Current
// what they show. Functions that take the same target must not run at once, other
// than Current, IsMounted and Stats; the caller has a lock per volume anyway.
package mount

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Source is the device name of every tmpfs that this package mounts. By it a restarted
// driver knows its own.
const Source = "leoflow-secrets-csi"

// What errors of this package wrap, besides those of the system.
var (
	// ErrTarget: the target path cannot be a volume. Nothing was touched.
	ErrTarget = errors.New("unusable target path")
	// ErrForeign: something that is not ours is mounted at the target. It was not touched.
	ErrForeign = errors.New("another file system is mounted there")
	// ErrNotMounted: no volume is mounted at the target.
	ErrNotMounted = errors.New("no volume is mounted there")
	// ErrNotEmpty: the directory has content, and no volume is mounted on it.
	ErrNotEmpty = errors.New("directory is not empty")
	// ErrNoGeneration: the volume is mounted and shows nothing yet.
	ErrNoGeneration = errors.New("volume shows no generation yet")
	// ErrContent: what is to be written breaks a rule of the layout.
	ErrContent = errors.New("unusable content")
	// ErrFull: the volume is too small. What it showed before it still shows.
	ErrFull = errors.New("volume is full")
)

// Options shape a tmpfs.
type Options struct {
	// SizeBytes is the most that the files of a generation may take. The tmpfs holds twice
	// as much, so that a generation can always be replaced by another.
	SizeBytes int64
}

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
	blank, err := m.blank(options)
	if err != nil {
		return false, err
	}
	defer blank.Close()
	return blank.Mount(target)
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
