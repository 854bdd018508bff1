package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Folder is a volume in a directory that is there already, on a file system that somebody else mounted
// and ends: an emptyDir of medium Memory, or a tmpfs of a developer's machine. It takes no privilege. It has
// the layout and the swap of a mounted volume; the directory's own mode and group stay as they are.
type Folder struct {
	path string
	// root is open, and locked, for as long as the Folder is in use.
	root    directory
	group   int
	closing sync.Once
}

// FolderOptions say which directory may be a Folder.
type FolderOptions struct {
	// AllowDisk takes one that is not in memory, too.
	AllowDisk bool
}

// What errors of OpenFolder wrap besides.
var (
	// ErrDisk: values would be written to a disk.
	ErrDisk = errors.New("it is not in memory")
	// ErrOwner: neither this user nor root has the directory.
	ErrOwner = errors.New("it is another user's")
	// ErrInUse: another program fills the directory.
	ErrInUse = errors.New("another fetcher fills it")
)

// probe is the name of a file by which OpenFolder finds out whether it may write.
const probe = "..probe"

// OpenFolder opens the directory at path, an absolute one, and makes it where only its last element is
// missing:
//
//  1. refuse a link, a file, what is not in memory, and what is another user's: its owner chooses the group
//     of all files, and may put others in their places;
//  2. lock it: two writers would delete each other's generations;
//  3. refuse one with anything in it that no volume has;
//  4. write a file, whose group is that of all that follow, and delete it.
//
// Where it fails nothing is changed, and nothing is left.
func OpenFolder(path string, options FolderOptions) (*Folder, error) {
	if err := checkTarget(path); err != nil {
		return nil, err
	}
	made := unix.Mkdir(path, 0o700) == nil
	folder, err := openFolder(path, options)
	if err != nil && made {
		return nil, errors.Join(err, unix.Rmdir(path))
	}
	return folder, err
}

func openFolder(path string, options FolderOptions) (*Folder, error) {
	target, err := openTarget(path) // 1
	if err != nil {
		return nil, err
	}
	defer target.close()
	f := &Folder{path: path, root: closed}
	if f.root, err = target.enter("."); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if err = f.admit(options); err != nil {
		f.Close()
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return f, nil
}

func (f *Folder) admit(options FolderOptions) error {
	inMemory, err := isInMemory(f.root)
	switch {
	case err != nil:
		return err
	case !inMemory && !options.AllowDisk:
		return ErrDisk
	}
	if err = f.checkOwner(); err != nil {
		return err
	}
	err = call("flock", f.path, func() error { return unix.Flock(int(f.root), unix.LOCK_EX|unix.LOCK_NB) }) // 2
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrInUse
	}
	if err != nil {
		return err
	}
	members, err := f.root.members() // 3
	if err != nil {
		return err
	}
	for _, one := range members {
		isOurs, err := f.isOfVolume(one)
		if err != nil {
			return err
		}
		if !isOurs {
			return fmt.Errorf("%w: %q is not of a volume; give an empty directory", ErrNotEmpty, one.name)
		}
	}
	return f.learnGroup() // 4
}

// checkOwner takes root's, since that is whose an emptyDir is.
func (f *Folder) checkOwner() error {
	var stat unix.Stat_t
	if err := f.root.stat(int(f.root), ".", &stat); err != nil {
		return err
	}
	if own := os.Geteuid(); stat.Uid != 0 && int(stat.Uid) != own {
		return fmt.Errorf("%w: user %d has it, and this is user %d", ErrOwner, stat.Uid, own)
	}
	return nil
}

// isOfVolume tells what Write leaves in the root of a volume, a killed one too.
func (f *Folder) isOfVolume(one member) (bool, error) {
	if one.name == probe {
		return !one.isDir, nil
	}
	if !one.isLink {
		return one.isDir && isGeneration(one.name), nil
	}
	to, err := f.root.readlink(one.name)
	switch {
	case one.name == layout.DataLink, one.name == layout.DataLinkTemp:
		return isGeneration(to), err
	case one.name == layout.ManifestFile, one.name == layout.IdentityDir, slices.Contains(layout.ValueDirs(), one.name):
		return to == layout.DataLink+"/"+one.name, err
	default:
		return false, nil
	}
}

func (f *Folder) learnGroup() error {
	if err := f.root.remove(probe); err != nil {
		return err
	}
	fd, err := f.root.open(probe, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	var stat unix.Stat_t
	err = f.root.stat(fd, probe, &stat)
	f.group = int(stat.Gid)
	return errors.Join(err, f.root.remove(probe))
}

// Close gives the directory up to others. What it shows stays. A second Close does nothing.
func (f *Folder) Close() {
	f.closing.Do(func() {
		f.root.close()
		f.root = closed
	})
}

// LookInto tells what the directory at path shows, whoever fills it.
func LookInto(path string) (Generation, error) {
	dir, err := openPath(path, 0)
	if err != nil {
		return Generation{}, err
	}
	defer dir.close()
	current, top, err := volume{directory: dir}.current()
	top.close()
	if err != nil {
		return Generation{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return current, nil
}

// Path is that of the directory.
func (f *Folder) Path() string { return f.path }

// Group is the group of what is written: the process's, or the directory's where that says so, as an
// emptyDir does in a pod with an fsGroup. It is the only one that Content may name.
func (f *Folder) Group() int { return f.group }

// open has a descriptor of its own for each use, since members moves its position.
func (f *Folder) open() (volume, error) {
	root, err := f.root.enter(".")
	if err != nil {
		return volume{}, fmt.Errorf("opening %s: %w", f.path, err)
	}
	return volume{directory: root, isGuest: true}, nil
}

// Write is what the function of that name is for a mounted volume. Whoever may read the directory sees
// the first generation whole, too.
func (f *Folder) Write(content Content) (Outcome, error) {
	if err := content.validate(); err != nil {
		return Outcome{}, fmt.Errorf("writing %s: %w", f.path, err)
	}
	volume, err := f.open()
	if err != nil {
		return Outcome{}, err
	}
	defer volume.close()
	outcome, err := volume.write(content)
	outcome.Memory, _ = volume.memory() // which was just asked for its usage, or is gone
	if err != nil {
		return outcome, fmt.Errorf("writing %s: %w", f.path, err)
	}
	return outcome, nil
}

// Renew is what the function of that name is for a mounted volume.
func (f *Folder) Renew(tokens func(audience string) []byte, mode fs.FileMode) (clouds []string, err error) {
	volume, err := f.open()
	if err != nil {
		return nil, err
	}
	defer volume.close()
	if clouds, err = volume.renew(tokens, mode, f.group); err != nil {
		return clouds, fmt.Errorf("reading %s: %w", f.path, err)
	}
	return clouds, nil
}

// Current is what the function of that name is for a mounted volume.
func (f *Folder) Current() (Generation, error) {
	volume, err := f.open()
	if err != nil {
		return Generation{}, err
	}
	defer volume.close()
	current, top, err := volume.current()
	top.close()
	if err != nil {
		return Generation{}, fmt.Errorf("reading %s: %w", f.path, err)
	}
	return current, nil
}

// HasFiles tells whether the directory shows a generation.
func (f *Folder) HasFiles() (bool, error) {
	_, err := f.root.readlink(layout.DataLink)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Stats tells how much the volume takes.
func (f *Folder) Stats() (Usage, error) {
	volume, err := f.open()
	if err != nil {
		return Usage{}, err
	}
	defer volume.close()
	usage, err := volume.usage()
	if err != nil {
		return Usage{}, fmt.Errorf("measuring %s: %w", f.path, err)
	}
	return usage, nil
}

// guestUsage goes through the volume: what the file system says is about others' files too.
func (v volume) guestUsage() (Usage, error) {
	bytes, files, err := v.measure()
	if err != nil {
		return Usage{}, err
	}
	return Usage{Bytes: Amount{Total: bytes, Used: bytes}, Inodes: Amount{Total: files, Used: files}}, nil
}

// measure is what is in d and beneath it: whole pages for each file, and how many names there are.
func (d directory) measure() (bytes, files int64, err error) {
	members, err := d.members()
	for _, one := range members {
		files++
		switch {
		case one.isLink:
		case one.isDir:
			inner, err := d.enter(one.name)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) { // a generation that goes, or another user's
				continue
			}
			if err != nil {
				return bytes, files, err
			}
			more, names, err := inner.measure()
			inner.close()
			if err != nil {
				return bytes, files, err
			}
			bytes, files = bytes+more, files+names
		default:
			size, err := d.sizeOf(one.name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return bytes, files, err
			}
			bytes += pagesOf(size) * pageSize
		}
	}
	return bytes, files, err
}

func (d directory) sizeOf(name string) (int64, error) {
	var stat unix.Stat_t
	err := d.do("fstatat", name, func() error { return unix.Fstatat(int(d), name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
	return stat.Size, err
}
