//go:build linux

package mount

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Blank is a volume that shows nothing and is mounted nowhere yet: a "detached mount" of
// the kernel's. Until it is mounted no path leads to it, and it ends with its descriptors.
// So it can be made before it is known whether it will be needed: whatever becomes of the
// call or of the process, nothing of it stays, but of a process that is killed an empty directory.
type Blank struct {
	mounter *Mounter
	// target is where it is to be mounted, a directory that the Blank made if isMade is set and
	// deletes again unless it is mounted.
	target string
	isMade bool
	// detached is the mount, root the file system's root.
	detached directory
	root     volume
	// generation is the name of the first generation, first its directories.
	generation string
	first      *files
}

// Blank makes a volume that is to be filled and mounted at target, an absolute path whose parent exists. The
// directory is made here too, where that can be: on a disk it takes as long as the tmpfs. It must be closed, at
// the latest when it is mounted.
func (m *Mounter) Blank(target string, options Options) (*Blank, error) {
	made, err := m.blank(target, options)
	if err != nil {
		return nil, err
	}
	made.isMade, _ = makeTarget(target) // Mount tells why not
	made.generation = newGeneration()
	if made.first, err = made.root.mkdirs(made.generation); err != nil {
		made.Close()
		return nil, fmt.Errorf("making a tmpfs: %w", err)
	}
	return made, nil
}

func (m *Mounter) blank(target string, options Options) (*Blank, error) {
	if options.SizeBytes <= 0 {
		return nil, fmt.Errorf("making a tmpfs: size must be positive, not %d", options.SizeBytes)
	}
	detached, err := detachedTmpfs(options)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("making a tmpfs: %w: the driver has to be privileged, or root of its own user and mount namespace", err)
	}
	if err != nil {
		return nil, fmt.Errorf("making a tmpfs: %w", err)
	}
	made := &Blank{mounter: m, target: target, detached: detached, first: filesIn(closed)}
	if made.root.directory, err = detached.enter("."); err != nil {
		made.Close()
		return nil, fmt.Errorf("making a tmpfs: %w", err)
	}
	return made, nil
}

// detachedTmpfs caps inodes as well as bytes, since the kernel's memory for an inode is not
// counted in "size". Without "huge=never" a node may be set up to spend 2 MiB on each small
// file. "noswap" is refused by kernels before 6.4, and in a user namespace.
func detachedTmpfs(options Options) (directory, error) {
	var fd, detached int
	err := call("fsopen", "tmpfs", func() (err error) { fd, err = unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC); return err })
	if err != nil {
		return closed, err
	}
	defer func() { _ = unix.Close(fd) }()
	for _, option := range tmpfsOptions(options) {
		if err := call("fsconfig", option.name, func() error { return unix.FsconfigSetString(fd, option.name, option.value) }); err != nil {
			return closed, err
		}
	}
	if err := call("fsconfig", "noswap", func() error { return unix.FsconfigSetFlag(fd, "noswap") }); err != nil && !errors.Is(err, unix.EINVAL) {
		return closed, err
	}
	if err := call("fsconfig", "create", func() error { return unix.FsconfigCreate(fd) }); err != nil {
		return closed, err
	}
	const flags = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	err = call("fsmount", "tmpfs", func() (err error) { detached, err = unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, flags); return err })
	return directory(detached), err // -1 with an error
}

type tmpfsOption struct{ name, value string }

func tmpfsOptions(options Options) []tmpfsOption {
	return []tmpfsOption{
		{"source", Source}, {"mode", "0700"}, {"huge", "never"},
		{"size", strconv.FormatInt(2*options.SizeBytes, 10)}, {"nr_inodes", strconv.FormatInt(2*inodesOf(options.SizeBytes), 10)},
	}
}

// Close ends a volume that is mounted nowhere. One that is mounted it leaves alone.
func (b *Blank) Close() {
	b.removeTarget()
	b.first.close()
	b.root.close()
	b.detached.close()
	b.first, b.root.directory, b.detached = filesIn(closed), closed, closed
}

// removeTarget leaves a directory that somebody uses by now, as another call of Mount may, which has to find it until it has
// mounted there.
func (b *Blank) removeTarget() {
	if !b.isMade {
		return
	}
	b.mounter.mounting.Lock()
	defer b.mounter.mounting.Unlock()
	_ = unix.Rmdir(b.target)
	b.isMade = false
}

// Fill makes the volume show its first generation: what Write does from step 4 on, with
// nobody to see it. It is called once, before Mount.
func (b *Blank) Fill(content Content) (Outcome, error) {
	if err := content.validate(); err != nil {
		return Outcome{}, err
	}
	none := newStanding(Generation{}, closed)
	planned := newPlan(content, none)
	if _, err := b.root.admit(&planned, content, none); err != nil {
		return Outcome{}, err
	}
	outcome := Outcome{Generation: 1, Changed: true, Entries: planned.entries()}
	planned.describe(&content.Manifest)
	manifest, err := encode(content.Manifest, outcome.Generation)
	if err != nil {
		return Outcome{}, err
	}
	all := append(planned.files(), File{Path: layout.ManifestFile, Data: manifest})
	err = b.first.fill(content, all)
	if err == nil {
		err = b.root.symlink(b.generation, layout.DataLink)
	}
	if err == nil {
		err = b.root.finish(content, nil)
	}
	if err == nil {
		outcome.Memory, err = b.root.memory()
	}
	return outcome, b.root.full(err, all)
}

// Mount mounts the volume at its target, and tells whether it did: a volume of ours that is
// there already is left as it is, and so is the blank. Whoever finds the volume finds it whole.
//
// The target is opened once without following a link, and mounted on through that
// handle: a path that is swapped meanwhile redirects nothing.
func (b *Blank) Mount() (created bool, err error) {
	b.mounter.mounting.Lock()
	defer b.mounter.mounting.Unlock()

	isMade, err := makeTarget(b.target) // what the blank made may be gone, or in use
	if err != nil {
		return false, err
	}
	b.isMade = b.isMade || isMade
	dir, err := openTarget(b.target)
	if err != nil {
		return false, err
	}
	defer dir.close()
	if !isMade {
		if mounted, err := isVolume(dir, b.target); err != nil || mounted {
			return false, err
		}
		if err := checkEmpty(dir, b.target); err != nil {
			return false, err
		}
	}
	err = call("move_mount", b.target, func() error {
		return unix.MoveMount(int(b.detached), "", int(dir), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	})
	if err != nil {
		return false, fmt.Errorf("mounting a tmpfs: %w", err)
	}
	b.isMade = false
	return true, nil
}
