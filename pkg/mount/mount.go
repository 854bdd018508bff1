// Package mount puts a pod's files where they belong: on a tmpfs that exists only for
// one volume, replaced as a whole by one rename. It runs on Linux 5.8 or later and
// nowhere else.
//
//	mounter.Mount gives a target path its tmpfs
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
	// swappable is set once the kernel has refused "noswap": it is older than 6.4, or
	// this is a user namespace.
	swappable bool
}

// Mount mounts a tmpfs at target, an absolute path whose parent exists, and tells
// whether it is new: a volume that is already there is left as it is. The tmpfs can
// be entered by root alone until Write shows a generation.
//
// The target is opened once without following a link, and mounted on through that
// handle: a path that is swapped meanwhile redirects nothing.
func (m *Mounter) Mount(target string, options Options) (created bool, err error) {
	if options.SizeBytes <= 0 {
		return false, fmt.Errorf("mounting %s: size must be positive, not %d", target, options.SizeBytes)
	}
	m.mounting.Lock()
	defer m.mounting.Unlock()

	dir, made, err := openOrMakeTarget(target)
	if err != nil {
		return false, err
	}
	defer dir.close()
	if mounted, err := isVolume(dir, target); err != nil || mounted {
		return false, err
	}
	if !made {
		if err := checkEmpty(dir, target); err != nil {
			return false, err
		}
	}
	err = m.attach(dir, options)
	if err == nil {
		return true, nil
	}
	if made {
		err = errors.Join(err, unix.Rmdir(target))
	}
	if errors.Is(err, unix.EPERM) {
		return false, fmt.Errorf("mounting tmpfs on %s: %w: the driver has to be privileged, or root of its own user and mount namespace", target, err)
	}
	return false, fmt.Errorf("mounting tmpfs on %s: %w", target, err)
}

// attach mounts with "noswap" where the kernel takes it. The kernel answers EINVAL to
// an option it does not know or allow, and to much else: "noswap" is to blame if the
// same without it works.
func (m *Mounter) attach(dir directory, options Options) error {
	path, data := handlePath(dir), "mode=0700,"+tmpfsOptions(2*options.SizeBytes, 2*inodesOf(options.SizeBytes))
	if !m.swappable {
		err := unix.Mount(Source, path, "tmpfs", mountFlags, data+",noswap")
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	if err := unix.Mount(Source, path, "tmpfs", mountFlags, data); err != nil {
		return err
	}
	m.swappable = true
	return nil
}

const mountFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// resize changes the bounds of the tmpfs whose root dir is. The kernel takes "noswap" if
// and only if it was mounted so.
func resize(dir directory, bytes, inodes int64) error {
	path, data := handlePath(dir), tmpfsOptions(bytes, inodes)
	err := unix.Mount(Source, path, "tmpfs", mountFlags|unix.MS_REMOUNT, data+",noswap")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount(Source, path, "tmpfs", mountFlags|unix.MS_REMOUNT, data)
	}
	if err != nil {
		return fmt.Errorf("making room: %w", err)
	}
	return nil
}

// tmpfsOptions caps inodes as well as bytes, since the kernel's memory for an inode is
// not counted in "size". Without "huge=never" a node may be set up to spend 2 MiB on each
// small file.
func tmpfsOptions(bytes, inodes int64) string {
	return fmt.Sprintf("size=%d,nr_inodes=%d,huge=never", bytes, inodes)
}
