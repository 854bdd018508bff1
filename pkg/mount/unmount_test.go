package mount

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestUnmountRemovesTheVolumeAndItsDirectory(t *testing.T) {
	target := filepath.Join(t.TempDir(), "mount")
	_, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	_, err = Write(target, newContent())
	require.NoError(t, err)

	require.NoError(t, Unmount(target))
	assert.NoDirExists(t, target)
	assert.Empty(t, mountsAt(t, target))
	require.NoError(t, Unmount(target), "a second time")
}

func TestUnmountOfWhatNeverWas(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Unmount(filepath.Join(dir, "mount")))
	require.NoError(t, Unmount(filepath.Join(dir, "no", "parent")))

	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))
	require.NoError(t, Unmount(empty))
	assert.NoDirExists(t, empty)
}

func TestUnmountRefusesATargetAndTouchesNothing(t *testing.T) {
	tests := map[string]struct {
		prepare func(t *testing.T, dir string) (target string)
		want    error
	}{
		"relative":        {func(*testing.T, string) string { return "mount" }, ErrTarget},
		"a file":          {makeFile, ErrTarget},
		"a link":          {func(t *testing.T, dir string) string { return makeLink(t, dir, newVolume(t, megabyte)) }, ErrTarget},
		"another's tmpfs": {mountForeign, ErrForeign},
		"a bind mount":    {mountBind, ErrForeign},
		"a directory with content": {func(t *testing.T, dir string) string {
			require.NoError(t, os.MkdirAll(dir+"/mount/kept", 0o755))
			return dir + "/mount"
		}, ErrNotEmpty},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			target := test.prepare(t, dir)
			before, volumes := tree(t, dir), volumesIn(t, dir)
			require.ErrorIs(t, Unmount(target), test.want)
			assert.Equal(t, before, tree(t, dir))
			assert.Equal(t, volumes, volumesIn(t, dir))
		})
	}
}

// volumesIn leaves out those of other programs that come and go on this machine.
func volumesIn(t *testing.T, dir string) []Info {
	t.Helper()
	infos, err := List()
	require.NoError(t, err)
	return slices.DeleteFunc(infos, func(info Info) bool { return !strings.HasPrefix(info.Target, dir) })
}

func TestUnmountDoesNotWaitForAnOpenFile(t *testing.T) {
	target := filepath.Join(t.TempDir(), "mount")
	_, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	_, err = Write(target, newContent())
	require.NoError(t, err)
	held, err := os.Open(filepath.Join(target, "variables/region"))
	require.NoError(t, err)
	defer held.Close()

	require.NoError(t, Unmount(target))
	assert.NoDirExists(t, target)
	assert.Empty(t, mountsAt(t, target))
	data, err := io.ReadAll(held)
	require.NoError(t, err)
	assert.Equal(t, "north", string(data), "who has a file open keeps it")
}

func TestUnmountLeavesNoValueInACopyOfTheMount(t *testing.T) {
	dir := t.TempDir()
	target, elsewhere := filepath.Join(dir, "mount"), filepath.Join(dir, "elsewhere")
	_, err := new(Mounter).Mount(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	_, err = Write(target, newContent())
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(elsewhere, 0o755))
	require.NoError(t, unix.Mount(target, elsewhere, "", unix.MS_BIND, ""))
	defer func() { require.NoError(t, unix.Unmount(elsewhere, 0)) }()
	require.FileExists(t, filepath.Join(elsewhere, "variables/region"))

	require.NoError(t, Unmount(target))
	require.NoError(t, filepath.WalkDir(elsewhere, func(path string, found fs.DirEntry, err error) error {
		assert.False(t, found.Type().IsRegular(), path)
		return err
	}))
	assert.NoFileExists(t, filepath.Join(elsewhere, layout.DataLink), "what is left does not pass for complete")
}

func TestUnmountTakesAwayAStack(t *testing.T) {
	target := filepath.Join(t.TempDir(), "mount")
	require.NoError(t, os.Mkdir(target, 0o755))
	for range 2 {
		require.NoError(t, unix.Mount(Source, target, "tmpfs", 0, "size=64k"))
	}
	require.NoError(t, Unmount(target))
	assert.NoDirExists(t, target)
}

// Somebody with the node's rights may mount something inside a volume: that is not ours to delete.
func TestWhatIsMountedInsideAVolumeIsNotDeleted(t *testing.T) {
	for name, act := range map[string]func(target string) error{
		"rotated": func(target string) error {
			_, err := Write(target, uniform(8))
			return err
		},
		"unmounted": Unmount,
	} {
		t.Run(name, func(t *testing.T) {
			target, elsewhere, theirs := newVolume(t, megabyte), t.TempDir(), t.TempDir()
			require.NoError(t, rotate(target, 7))
			require.NoError(t, os.WriteFile(filepath.Join(theirs, "file"), nil, 0o600))
			require.NoError(t, unix.Mount(target, elsewhere, "", unix.MS_BIND, ""))
			t.Cleanup(func() { assert.NoError(t, unix.Unmount(elsewhere, unix.MNT_DETACH)) })
			// The links lead into the generation that is shown.
			inside, err := filepath.EvalSymlinks(filepath.Join(target, layout.ValueDirs()[0]))
			require.NoError(t, err)
			require.NoError(t, unix.Mount(theirs, inside, "", unix.MS_BIND, ""))

			require.ErrorIs(t, act(target), ErrForeign)
			assert.FileExists(t, filepath.Join(theirs, "file"))
			_ = Unmount(target) // which says so too, and takes the mount away
			require.NoError(t, Unmount(target), "the next call")
			assert.NoDirExists(t, target)
			assert.FileExists(t, filepath.Join(theirs, "file"))
			assert.NoFileExists(t, filepath.Join(elsewhere, layout.VariablesJSON))
		})
	}
}

func TestEndTellsWhatAnOpenFileKeeps(t *testing.T) {
	target := newVolume(t, megabyte)
	content := newContent()
	content.Entries[0].Value = []byte(strings.Repeat("x", 100<<10))
	_, err := Write(target, content)
	require.NoError(t, err)
	file, err := os.Open(filepath.Join(target, filepath.FromSlash(content.Entries[0].File)))
	require.NoError(t, err)
	defer file.Close()
	left, err := End(target)
	require.NoError(t, err)
	assert.Equal(t, int64(100<<10), left)

	other := newVolume(t, megabyte)
	_, err = Write(other, newContent())
	require.NoError(t, err)
	left, err = End(other)
	require.NoError(t, err)
	assert.Zero(t, left)
}
