package mount

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// publish makes a volume as the driver does.
func publish(target string, number int) error {
	blank, err := new(Mounter).Blank(target, Options{SizeBytes: megabyte})
	if err != nil {
		return err
	}
	defer blank.Close()
	if _, err := blank.Fill(uniform(number)); err != nil {
		return err
	}
	created, err := blank.Mount()
	if err == nil && !created {
		_, err = Write(target, uniform(number))
	}
	return err
}

// With its descriptors the kernel ends it.
func TestABlankThatIsClosedLeavesNothing(t *testing.T) {
	before, target := descriptors(t), filepath.Join(t.TempDir(), "mount")
	blank, err := new(Mounter).Blank(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	_, err = blank.Fill(newContent())
	require.NoError(t, err)
	assert.Greater(t, descriptors(t), before)
	blank.Close()
	blank.Close()
	assert.Equal(t, before, descriptors(t))
	assert.NoDirExists(t, target)
}

// The directory is made long before it is mounted on.
func TestABlankLooksAgainAtItsDirectory(t *testing.T) {
	for name, row := range map[string]struct {
		meanwhile func(t *testing.T, target string)
		mounts    bool
		err       error
	}{
		"it is gone": {func(t *testing.T, target string) { require.NoError(t, os.Remove(target)) }, true, nil},
		"a volume stands there": {func(t *testing.T, target string) {
			require.NoError(t, publish(target, 1))
			t.Cleanup(func() { assert.NoError(t, Unmount(target)) })
		}, false, nil},
		"somebody mounted there": {func(t *testing.T, target string) {
			require.NoError(t, unix.Mount("other", target, "tmpfs", 0, "size=64k"))
			t.Cleanup(func() { assert.NoError(t, unix.Unmount(target, 0)) })
		}, false, ErrForeign},
		"it holds a file": {func(t *testing.T, target string) {
			require.NoError(t, os.WriteFile(filepath.Join(target, "theirs"), nil, 0o600))
		}, false, ErrNotEmpty},
		"it is a link": {func(t *testing.T, target string) {
			require.NoError(t, os.Remove(target))
			require.NoError(t, os.Symlink(t.TempDir(), target))
		}, false, ErrTarget},
		"its parent is gone": {func(t *testing.T, target string) { require.NoError(t, os.RemoveAll(filepath.Dir(target))) }, false, fs.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "volume", "mount")
			require.NoError(t, os.Mkdir(filepath.Dir(target), 0o700))
			blank, err := new(Mounter).Blank(target, Options{SizeBytes: megabyte})
			require.NoError(t, err)
			defer blank.Close()
			assert.DirExists(t, target)
			_, err = blank.Fill(uniform(2))
			require.NoError(t, err)
			row.meanwhile(t, target)
			before := snapshotOf(t, target)
			created, err := blank.Mount()
			require.ErrorIs(t, err, row.err)
			assert.Equal(t, row.mounts, created)
			blank.Close()
			if row.mounts {
				assert.Equal(t, "2", snapshot(t, target))
				require.NoError(t, Unmount(target))
			} else {
				assert.Equal(t, before, snapshotOf(t, target), "what is somebody else's stays")
			}
		})
	}
}

// Kubelet asks again while the publish that it gave up on comes to its end.
func TestABlankThatIsGivenUpIsInNobodysWay(t *testing.T) {
	mounter, target := new(Mounter), filepath.Join(t.TempDir(), "mount")
	for range 100 {
		first, err := mounter.Blank(target, Options{SizeBytes: megabyte})
		require.NoError(t, err)
		second, err := mounter.Blank(target, Options{SizeBytes: megabyte})
		require.NoError(t, err)
		_, err = second.Fill(uniform(1))
		require.NoError(t, err)
		closed := make(chan struct{})
		go func() { defer close(closed); first.Close() }()
		created, err := second.Mount()
		<-closed
		second.Close()
		require.NoError(t, err)
		require.True(t, created)
		require.NoError(t, Unmount(target))
	}
}

// snapshotOf are the names at a path, whoever's they are.
func snapshotOf(t *testing.T, path string) (names []string) {
	t.Helper()
	found, err := os.ReadDir(path)
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	for _, one := range found {
		names = append(names, one.Name())
	}
	return names
}

func TestABlankIsMountedWhole(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, target string){
		"no directory": func(*testing.T, string) {},
		"a directory":  func(t *testing.T, target string) { require.NoError(t, os.Mkdir(target, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "mount")
			prepare(t, target)
			blank, err := new(Mounter).Blank(target, Options{SizeBytes: megabyte})
			require.NoError(t, err)
			defer blank.Close()
			outcome, err := blank.Fill(newContent())
			require.NoError(t, err)
			assertOutcome(t, Outcome{Generation: 1, Changed: true}, outcome)
			assert.Len(t, outcome.Entries, 2)
			created, err := blank.Mount()
			require.NoError(t, err)
			assert.True(t, created)
			blank.Close()

			assertShows(t, target, newContent())
			assertAccess(t, target, newContent())
			assert.Empty(t, strayNames(t, target))
			require.NoError(t, Unmount(target))
		})
	}
}

func TestABlankLeavesAVolumeThatIsThere(t *testing.T) {
	target := newVolume(t, megabyte)
	_, err := Write(target, uniform(1))
	require.NoError(t, err)
	blank, err := new(Mounter).Blank(target, Options{SizeBytes: megabyte})
	require.NoError(t, err)
	defer blank.Close()
	_, err = blank.Fill(uniform(2))
	require.NoError(t, err)
	created, err := blank.Mount()
	require.NoError(t, err)
	assert.False(t, created)
	assert.Equal(t, "1", snapshot(t, target))
	assert.Len(t, mountsAt(t, target), 1)
}

func TestABlankIsFilledWholeOrNotAtAll(t *testing.T) {
	for name, content := range map[string]Content{
		"beyond the cap":   capped(64<<10, sized("big", 60<<10)),
		"beyond the tmpfs": {Entries: []Entry{sized("big", 300<<10)}, Manifest: layout.Manifest{Fetched: fetched}, Mode: 0o440},
	} {
		t.Run(name, func(t *testing.T) {
			blank, err := new(Mounter).Blank(filepath.Join(t.TempDir(), "mount"), Options{SizeBytes: 64 << 10})
			require.NoError(t, err)
			defer blank.Close()
			_, err = blank.Fill(content)
			require.ErrorIs(t, err, ErrFull)
		})
	}
}
