package filewatch_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/filewatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watching reports each look; the Watch ends with the test.
func watching(t *testing.T, poll time.Duration, files ...string) <-chan struct{} {
	ctx, cancel := context.WithCancel(t.Context())
	looks, done := make(chan struct{}, 64), make(chan struct{})
	go func() {
		defer close(done)
		filewatch.Watch(ctx, slog.New(slog.DiscardHandler), files, poll, func() { looks <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return looks
}

func requireLook(t *testing.T, looks <-chan struct{}) {
	t.Helper()
	select {
	case <-looks:
	case <-time.After(10 * time.Second):
		require.FailNow(t, "nobody looked")
	}
}

func TestWatchLooksWhenAFileIsReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "variables.json")
	looks := watching(t, time.Hour, file)
	requireLook(t, looks) // at the start
	require.NoError(t, os.WriteFile(file+".new", []byte("{}"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	requireLook(t, looks)
	require.NoError(t, os.Remove(file))
	requireLook(t, looks)
}

// Kubernetes replaces the files of a volume by one symbolic link.
func TestWatchLooksWhenAMountedSecretChanges(t *testing.T) {
	dir := t.TempDir()
	looks := watching(t, time.Hour, filepath.Join(dir, "variables.json"))
	requireLook(t, looks)
	require.NoError(t, os.Symlink("..2026", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	requireLook(t, looks)
}

// Where the kernel cannot tell, looking now and then must do.
func TestWatchPollsWhereItIsNotNotified(t *testing.T) {
	looks := watching(t, time.Millisecond, filepath.Join(t.TempDir(), "absent", "variables.json"))
	for range 3 {
		requireLook(t, looks)
	}
}
