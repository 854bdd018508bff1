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

import "errors"

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
