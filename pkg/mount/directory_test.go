package mount

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// openDirectory opens a directory of its own for the length of a test.
func openDirectory(t *testing.T) (dir directory, path string) {
	t.Helper()
	path = t.TempDir()
	at, err := openPath(path, 0)
	require.NoError(t, err)
	defer at.close()
	dir, err = at.enter(".")
	require.NoError(t, err)
	t.Cleanup(dir.close)
	return dir, path
}

func TestDirectoryResolvesNoPath(t *testing.T) {
	dir, path := openDirectory(t)
	require.NoError(t, os.Mkdir(filepath.Join(path, "d"), 0o700))
	for _, name := range []string{"", "..", "../x", "d/x", "/etc", "x\x00y"} {
		for does, try := range map[string]func() error{
			"enter":   func() error { _, err := dir.enter(name); return err },
			"mkdir":   func() error { _, err := dir.mkdir(name); return err },
			"create":  func() error { return dir.create(name, nil, &access{mode: 0o400}) },
			"read":    func() error { _, _, err := dir.read(name); return err },
			"symlink": func() error { return dir.symlink("x", name) },
			"rename":  func() error { return dir.rename(name, "y") },
			"onto":    func() error { return dir.rename("d", name) },
			"remove":  func() error { return dir.remove(name) },
			"touch":   func() error { return dir.touch(name, fetched) },
		} {
			require.ErrorIs(t, try(), fs.ErrInvalid, "%s %q", does, name)
		}
	}
	assert.DirExists(t, filepath.Join(path, "d"))
}

func TestDirectoryFollowsNoLink(t *testing.T) {
	dir, path := openDirectory(t)
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "kept"), []byte("kept"), 0o600))
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(path, "dir")))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "kept"), filepath.Join(path, "file")))

	_, err := dir.enter("dir")
	require.ErrorIs(t, err, unix.ENOTDIR)
	_, _, err = dir.read("file")
	require.ErrorIs(t, err, unix.ELOOP)
	require.ErrorIs(t, dir.create("file", []byte("changed"), &access{mode: 0o600}), fs.ErrExist)
	require.NoError(t, dir.clear())
	left, err := os.ReadDir(path)
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.FileExists(t, filepath.Join(elsewhere, "kept"))
}

func TestDirectoryListsAndDeletesMoreThanOneCallTells(t *testing.T) {
	dir, path := openDirectory(t)
	const many = 300
	for i := range many {
		require.NoError(t, dir.create(fmt.Sprint(strings.Repeat("x", 200), i), nil, &access{mode: 0o400, gid: os.Getgid()}))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(path, "d", "e", "f"), 0o700))
	for range 2 { // it begins with the first each time
		members, err := dir.members()
		require.NoError(t, err)
		assert.Len(t, members, many+1)
		assert.Contains(t, members, member{name: "d", isDir: true})
	}
	require.NoError(t, dir.clear())
	members, err := dir.members()
	require.NoError(t, err)
	assert.Empty(t, members)
	require.NoError(t, dir.remove("d"), "what is not there is as good as deleted")
}

// The mode that a file is made with is not the last word: there is a umask.
func TestCreateGivesModeAndGroupWhateverTheUmask(t *testing.T) {
	dir, path := openDirectory(t)
	before := unix.Umask(0o077)
	defer unix.Umask(before)
	all := access{mode: 0o444, gid: os.Getgid()}
	for _, name := range []string{"first", "second"} { // of which the first is looked at
		require.NoError(t, dir.create(name, []byte("text"), &all))
		info, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o444), info.Mode())
	}
}

func TestReadRefusesAFileThatIsLongerThanItsMemory(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Write(target, newContent())
	require.NoError(t, err)
	require.NoError(t, os.Truncate(filepath.Join(target, layout.ManifestFile), 1<<40))
	_, err = Current(target)
	require.ErrorContains(t, err, "unexpected EOF")
}

func TestNoDescriptorIsLeftOpen(t *testing.T) {
	target := filepath.Join(t.TempDir(), "mount")
	cycle := func() {
		_, err := new(Mounter).Mount(target, Options{SizeBytes: 64 << 10})
		require.NoError(t, err)
		_, err = Write(target, newContent())
		require.NoError(t, err)
		full := newContent()
		full.Entries[0].Value = make([]byte, megabyte)
		_, err = Write(target, full)
		require.ErrorIs(t, err, ErrFull)
		_, err = Write(target, newContent())
		require.NoError(t, err)
		_, err = Current(target)
		require.NoError(t, err)
		_, err = Stats(target)
		require.NoError(t, err)
		_, err = IsShared(target)
		require.NoError(t, err)
		require.NoError(t, Unmount(target))
		_, err = Current(target)
		require.ErrorIs(t, err, ErrNotMounted)
	}
	cycle()
	before := descriptors(t)
	for range 3 {
		cycle()
	}
	assert.Equal(t, before, descriptors(t))
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(open)
}
