package mount

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
)

func openedFolder(t testing.TB, path string) *Folder {
	t.Helper()
	folder, err := OpenFolder(path, FolderOptions{})
	require.NoError(t, err)
	t.Cleanup(folder.Close)
	return folder
}

// treeOf is all that is shown: names, modes and contents. Generations are named by when they were made.
func treeOf(t *testing.T, root string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	generation, err := os.Readlink(filepath.Join(root, layout.DataLink))
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(root, func(path string, one fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := one.Info()
		require.NoError(t, err)
		name := strings.ReplaceAll(strings.TrimPrefix(path, root), generation, "GENERATION")
		tree[name] = info.Mode().String()
		switch {
		case name == "": // the directory itself is its owner's
			delete(tree, name)
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			tree[name] += " " + info.ModTime().UTC().Format(time.RFC3339) + "\n" + string(content)
			if !strings.HasSuffix(name, layout.ManifestFile) { // whose time says when it was confirmed
				tree[name] = info.Mode().String() + "\n" + string(content)
			}
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			require.NoError(t, err)
			tree[name] += strings.ReplaceAll(to, generation, "GENERATION")
		}
		return nil
	}))
	return tree
}

// Whoever reads cannot tell by whom the files were written.
func TestAFolderShowsWhatAVolumeShows(t *testing.T) {
	target, path := newVolume(t, megabyte), mounttest.Tmpfs(t, "")
	folder := openedFolder(t, path)
	long := newContent()
	long.Entries[0] = newEntry(layout.Connection, "warehouse", strings.Repeat("x", 2*megabyte))
	for i, content := range []Content{
		newContent(), uniform(1), uniform(1),
		{Entries: []Entry{held(layout.Connection, "warehouse", "away"), newEntry(layout.Variable, "region", "south")}},
		{Rest: true, Entries: []Entry{{Entry: layout.Entry{Kind: layout.Variable, ID: "region", State: layout.Denied}}}},
		newContent(), long, {},
	} {
		content.Manifest.Fetched, content.Cap = fetched.Add(time.Duration(i)*time.Minute), megabyte
		content.Mode, content.GID = []fs.FileMode{0o440, 0o444}[i%2], os.Getegid()
		mounted, err := Write(target, content)
		require.NoError(t, err)
		filled, err := folder.Write(content)
		require.NoError(t, err)
		assert.Equal(t, mounted.Generation, filled.Generation, i)
		assert.Equal(t, mounted.Changed, filled.Changed, i)
		assert.Equal(t, mounted.Entries, filled.Entries, i)
		assert.Equal(t, mounted.Withdrawn, filled.Withdrawn, i)
		assert.Equal(t, treeOf(t, target), treeOf(t, path), i)
		current, err := folder.Current()
		require.NoError(t, err)
		seen, err := LookInto(path)
		require.NoError(t, err)
		assert.Equal(t, current, seen)
	}
	usage, err := folder.Stats()
	require.NoError(t, err)
	assert.EqualValues(t, 3*pageSize, usage.Bytes.Used, "manifest.json and two files for Airflow")
}

// Whose group it is, its owner chooses.
func TestAnotherUsersFolderIsRefused(t *testing.T) {
	path := t.TempDir()
	if err := unix.Mount("theirs", path, "tmpfs", 0, "uid=4000,gid=4000,mode=2777"); err != nil {
		testneed.Missing(t, fmt.Sprintf("this user may make no directory of another's (%v)", err))
	}
	defer func() { require.NoError(t, unix.Unmount(path, unix.MNT_DETACH)) }()
	_, err := OpenFolder(path, FolderOptions{})
	require.ErrorIs(t, err, ErrOwner)
	assert.ErrorContains(t, err, "it is another user's: user 4000 has it, and this is user 0")
}

func TestAFolderIsRefused(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(mounttest.Tmpfs(t, ""), link))
	taken := mounttest.Tmpfs(t, "")
	openedFolder(t, taken)
	with := func(name, content string) string {
		path := mounttest.Tmpfs(t, "")
		require.NoError(t, os.WriteFile(filepath.Join(path, name), []byte(content), 0o600))
		return path
	}
	file := with("theirs", "")
	readOnly := mounttest.Tmpfs(t, "")
	require.NoError(t, unix.Mount("", readOnly, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	full := mounttest.Tmpfs(t, "nr_inodes=1")
	linked := func(name, to string) string {
		path := mounttest.Tmpfs(t, "")
		require.NoError(t, os.Symlink(to, filepath.Join(path, name)))
		return path
	}
	kept := mounttest.Tmpfs(t, "")
	require.NoError(t, os.Mkdir(filepath.Join(kept, "..2theirs"), 0o700))
	for name, row := range map[string]struct {
		path string
		err  error
		says string
	}{
		"relative":     {"folder", ErrTarget, `opening "folder": unusable target path: it must be absolute and clean`},
		"no parent":    {filepath.Join(taken, "a", "b"), fs.ErrNotExist, "no such file or directory"},
		"a link":       {link, ErrTarget, "it is a link or a file, not a directory"},
		"a file":       {filepath.Join(file, "theirs"), ErrTarget, "it is a link or a file, not a directory"},
		"a disk":       {"/proc", ErrDisk, "opening /proc: it is not in memory"},
		"in use":       {taken, ErrInUse, "another fetcher fills it"},
		"others' file": {file, ErrNotEmpty, `directory is not empty: "theirs" is not of a volume; give an empty directory`},
		"a ConfigMap":  {with("connections", ""), ErrNotEmpty, `"connections" is not of a volume`},
		"others' link": {linked("connections", "/etc"), ErrNotEmpty, `"connections" is not of a volume`},
		"data outside": {linked(layout.DataLink, "../theirs"), ErrNotEmpty, `"..data" is not of a volume`},
		"others' dir":  {kept, ErrNotEmpty, `"..2theirs" is not of a volume`},
		"read-only":    {readOnly, unix.EROFS, "read-only file system"},
		"full":         {full, unix.ENOSPC, "no space left on device"},
	} {
		_, err := OpenFolder(row.path, FolderOptions{})
		require.ErrorIs(t, err, row.err, name)
		assert.ErrorContains(t, err, row.says, name)
	}
	entries, err := os.ReadDir(file)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing was left")
	assert.DirExists(t, filepath.Join(kept, "..2theirs"))
}

// A directory that OpenFolder makes is not left where it may not be used.
func TestARefusedFolderIsNotMade(t *testing.T) {
	disk := t.TempDir()
	inMemory, err := isInMemory(openedDirectory(t, disk))
	require.NoError(t, err)
	path := filepath.Join(disk, "new")
	if inMemory {
		openedFolder(t, path)
		assert.DirExists(t, path)
		return
	}
	_, err = OpenFolder(path, FolderOptions{})
	require.ErrorIs(t, err, ErrDisk)
	assert.NoDirExists(t, path)
	folder, err := OpenFolder(path, FolderOptions{AllowDisk: true})
	require.NoError(t, err)
	defer folder.Close()
	for number := range 3 {
		outcome, err := folder.Write(uniform(number))
		require.NoError(t, err)
		assert.True(t, outcome.Changed)
		outcome, err = folder.Write(uniform(number))
		require.NoError(t, err)
		assert.False(t, outcome.Changed, "what a disk has is read back, too")
	}
}

func openedDirectory(t *testing.T, path string) directory {
	t.Helper()
	dir, err := openPath(path, 0)
	require.NoError(t, err)
	t.Cleanup(dir.close)
	inner, err := dir.enter(".")
	require.NoError(t, err)
	t.Cleanup(inner.close)
	return inner
}

// What does not fit leaves what is there, and nothing is mounted anew.
func TestAFullFolderKeepsWhatItShows(t *testing.T) {
	path := mounttest.Tmpfs(t, fmt.Sprintf("size=%d", 16*pageSize))
	folder := openedFolder(t, path)
	_, err := folder.Write(uniform(1))
	require.NoError(t, err)
	before := treeOf(t, path)
	content := uniform(2)
	content.Entries[0] = newEntry(layout.Connection, "warehouse", strings.Repeat("x", int(20*pageSize)))
	_, err = folder.Write(content)
	require.ErrorIs(t, err, ErrFull)
	assert.Equal(t, before, treeOf(t, path))
	_, err = folder.Write(uniform(3))
	require.NoError(t, err)
	assert.Equal(t, "3", snapshot(t, path))
}

// rotateFolder is the work of a child that is killed.
func rotateFolder(path string, number int) error {
	folder, err := OpenFolder(path, FolderOptions{})
	if err != nil {
		return err
	}
	defer folder.Close()
	_, err = folder.Write(uniform(number))
	return err
}

func TestKilledAtEachSystemCallOnAFolder(t *testing.T) {
	parent := mounttest.Tmpfs(t, "")
	seen := map[string]bool{}
	calls := 0
	for ended := false; !ended; calls++ {
		path := filepath.Join(parent, fmt.Sprint(calls))
		if calls%2 == 0 {
			require.NoError(t, rotateFolder(path, 7))
		}
		ended = killAtCall(t, calls+1, path, "folder")
		if _, err := os.Lstat(filepath.Join(path, layout.DataLink)); err == nil {
			seen[snapshot(t, path)] = true
		}
		require.NoError(t, rotateFolder(path, 8), "who comes next takes it over")
		require.Equal(t, "8", snapshot(t, path))
		names, err := filepath.Glob(filepath.Join(path, "..?*"))
		require.NoError(t, err)
		require.Len(t, names, 2, "the data link and one generation")
		require.NoError(t, os.RemoveAll(path))
	}
	assert.Greater(t, calls, 50)
	assert.Equal(t, map[string]bool{"0": true, "7": true}, seen, "one or the other, and nothing between")
}

// A container that may write there cannot keep the next delivery from coming.
func TestAFolderIsTakenBackFromPipes(t *testing.T) {
	for _, name := range []string{layout.ManifestFile, layout.ConnectionsDir + "/warehouse"} {
		path := mounttest.Tmpfs(t, "")
		folder := openedFolder(t, path)
		_, err := folder.Write(uniform(1))
		require.NoError(t, err)
		pipe := filepath.Join(path, layout.DataLink, name)
		require.NoError(t, os.Remove(pipe))
		require.NoError(t, unix.Mkfifo(pipe, 0o600))
		_, err = folder.Write(uniform(1))
		require.NoError(t, err, name)
		assert.Equal(t, "1", snapshot(t, path), name)
	}
}
