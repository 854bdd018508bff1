package envshim

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// never is a poll that does not come within a test.
const never = time.Hour

func watch(t *testing.T, dir string, poll time.Duration) (changed <-chan struct{}, warnings *[]error) {
	t.Helper()
	warnings = new([]error)
	ctx, stop := context.WithCancel(context.Background())
	changed = watchGenerations(ctx, dir, poll, func(err error) { *warnings = append(*warnings, err) })
	t.Cleanup(func() {
		stop()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for range changed {
				continue
			}
		}()
		testwait.Closed(t, ended)
		goleak.VerifyNone(t)
	})
	return changed, warnings
}

func TestWatchTellsOfEveryGeneration(t *testing.T) {
	volume := newVolume(t)
	changed, warnings := watch(t, volume, never)
	for number := range 100 {
		deliver(t, volume, numbered(number))
		testwait.Receive(t, changed)
	}
	assert.Empty(t, *warnings)
}

func TestWatchStaysQuietWhereNothingChanges(t *testing.T) {
	dir := newDirectory(t)
	changed, _ := watch(t, dir, never)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..tmp"), nil, 0o600))
	require.NoError(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "other")))
	swapLink(t, dir, "..2")
	testwait.Receive(t, changed) // everything before this has been looked at
	assert.Empty(t, changed)
}

// swapLink makes "..data" name another directory, as the writer does.
func swapLink(t testing.TB, dir, target string) {
	t.Helper()
	temp := filepath.Join(dir, layout.DataLinkTemp)
	require.NoError(t, os.Symlink(target, temp))
	require.NoError(t, os.Rename(temp, filepath.Join(dir, layout.DataLink)))
}

func TestWatchPollsWhereThereAreNoHints(t *testing.T) {
	dir := newDirectory(t)
	restore := exhaustDescriptors(t)
	changed, warnings := watch(t, dir, 10*time.Millisecond)
	restore()
	require.Len(t, *warnings, 1)
	assert.ErrorIs(t, (*warnings)[0], unix.EMFILE)
	for _, target := range []string{"..2", "..3", "..4"} {
		swapLink(t, dir, target)
		testwait.Receive(t, changed)
	}
}

// exhaustDescriptors makes the next file that is opened one too many, as exhausted
// inotify instances do: the error is the same.
func exhaustDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}))
	return func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }
}

func TestWatchFindsADirectoryThatComesBack(t *testing.T) {
	dir := newDirectory(t)
	changed, _ := watch(t, dir, 10*time.Millisecond)
	require.NoError(t, os.RemoveAll(dir))
	testwait.Receive(t, changed)
	require.NoError(t, os.Mkdir(dir, 0o700))
	swapLink(t, dir, "..2")
	testwait.Receive(t, changed)
}

func TestWait(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	delivered := newDirectory(t)
	done := make(chan error)
	go func() {
		snapshot, err := Wait(context.Background(), dir)
		if err == nil && len(snapshot.Entries) != 1 {
			err = errors.New("not what was delivered")
		}
		done <- err
	}()
	require.NoError(t, os.Rename(delivered, dir))
	require.NoError(t, testwait.Receive(t, done))

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := Wait(ctx, filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, ErrNotDelivered)
	assert.ErrorContains(t, err, "gave up waiting: ")

	writeFile(t, dir, layout.ManifestFile, "not JSON")
	_, err = Wait(context.Background(), dir)
	require.ErrorIs(t, err, layout.ErrManifest, "waiting cures no broken manifest")
	goleak.VerifyNone(t)
}
