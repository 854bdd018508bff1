package filewatch_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/filewatch"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watching reports each look; the Watch ends with the test.
func watching(t *testing.T, poll time.Duration, files ...string) <-chan struct{} {
	ctx, cancel := context.WithCancel(t.Context())
	looks, done := make(chan struct{}, 64), make(chan struct{})
	go func() {
		defer close(done)
		filewatch.Watch(ctx, slog.New(slog.DiscardHandler), filewatch.Places{Files: files}, poll, func() { looks <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		testwait.Closed(t, done)
	})
	return looks
}

// A folder that is found by a look is watched from then on, and looked into once more.
func TestWatchLooksIntoFoldersThatCome(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "team")
	ctx, cancel := context.WithCancel(t.Context())
	looks, done := make(chan bool, 64), make(chan struct{})
	folders := func() []string {
		if _, err := os.Stat(folder); err != nil {
			return []string{root}
		}
		return []string{root, folder}
	}
	go func() {
		defer close(done)
		filewatch.Watch(ctx, slog.New(slog.DiscardHandler), filewatch.Places{Folders: folders}, time.Hour, func() {
			_, err := os.Stat(filepath.Join(folder, "any"))
			looks <- err == nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		testwait.Closed(t, done)
	})
	testwait.Receive(t, looks)
	require.NoError(t, os.Mkdir(folder, 0o700))
	testwait.Receive(t, looks)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "any"), nil, 0o600))
	for !testwait.Receive(t, looks) {
		continue // of the folder itself
	}
	require.NoError(t, os.Remove(filepath.Join(folder, "any")))
	for testwait.Receive(t, looks) {
		continue
	}
}

func TestWatchLooksWhenAFileIsReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "variables.json")
	looks := watching(t, time.Hour, file)
	testwait.Receive(t, looks) // at the start
	require.NoError(t, os.WriteFile(file+".new", []byte("{}"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	testwait.Receive(t, looks)
	require.NoError(t, os.Remove(file))
	testwait.Receive(t, looks)
}

// Kubernetes replaces the files of a volume by one symbolic link.
func TestWatchLooksWhenAMountedSecretChanges(t *testing.T) {
	dir := t.TempDir()
	looks := watching(t, time.Hour, filepath.Join(dir, "variables.json"))
	testwait.Receive(t, looks)
	require.NoError(t, os.Symlink("..2026", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	testwait.Receive(t, looks)
}

// Where the kernel cannot tell, looking now and then must do.
func TestWatchPollsWhereItIsNotNotified(t *testing.T) {
	looks := watching(t, time.Millisecond, filepath.Join(t.TempDir(), "absent", "variables.json"))
	for range 3 {
		testwait.Receive(t, looks)
	}
}

// A directory that came, or that another one replaced, is watched from then on.
func TestHintsFollowADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	file := filepath.Join(dir, "file")
	var warnings []error
	ctx, cancel := context.WithCancel(t.Context())
	hints := filewatch.Hints{
		Files: []string{file}, Poll: time.Hour, Unwatched: time.Millisecond,
		Warn: func(err error) { warnings = append(warnings, err) },
	}.Listen(ctx)
	require.Len(t, warnings, 1)
	require.ErrorIs(t, warnings[0], fs.ErrNotExist)
	for range 3 {
		require.NoError(t, os.Mkdir(dir, 0o700))
		for number := range 100 { // all but the first ones are noticed by the watch alone
			require.NoError(t, os.WriteFile(file, []byte{byte(number)}, 0o600))
			testwait.Receive(t, hints)
		}
		require.NoError(t, os.Rename(dir, filepath.Join(t.TempDir(), "away")))
		testwait.Receive(t, hints)
	}
	cancel()
	for range hints {
		continue
	}
}

func TestHintsNeedNoWarningWhereAllIsWell(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	hints := filewatch.Hints{
		Files: []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}, Poll: time.Hour,
		Warn: func(err error) { t.Error(err) },
	}.Listen(ctx)
	testwait.Receive(t, hints) // at once
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b"), nil, 0o600))
	testwait.Receive(t, hints)
	cancel()
	for range hints {
		continue
	}
}

// A file that is removed, or moved aside as editors do, and then written anew stands under its name
// before it is whole.
func TestHintsTellAFileThatWasRenamedFromOneThatIsWrittenAnew(t *testing.T) {
	write := func(file string) error { return os.WriteFile(file, []byte("text"), 0o600) }
	for name, row := range map[string]struct {
		change func(file string) error
		want   bool
	}{
		"renamed":     {func(file string) error { return errors.Join(write(file+".new"), os.Rename(file+".new", file)) }, true},
		"removed":     {func(file string) error { return errors.Join(os.Remove(file), write(file)) }, false},
		"moved aside": {func(file string) error { return errors.Join(os.Rename(file, file+"~"), write(file)) }, false},
		"written to":  {write, false},
		"both": {func(file string) error {
			return errors.Join(write(file), write(file+".new"), os.Rename(file+".new", file))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), `a" ← "b`)
			require.NoError(t, write(file))
			ctx, cancel := context.WithCancel(t.Context())
			hints := filewatch.Hints{Files: []string{file}, Poll: time.Hour, Warn: func(err error) { t.Error(err) }}.Listen(ctx)
			require.False(t, testwait.Receive(t, hints), "at once")
			require.NoError(t, row.change(file))
			require.Equal(t, row.want, testwait.Receive(t, hints))
			cancel()
			for range hints {
				continue
			}
		})
	}
}
