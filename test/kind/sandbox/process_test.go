package sandbox

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// start runs a program that lasts, under a name that is hard to parse.
func start(t *testing.T) *exec.Cmd {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	require.NoError(t, err)
	hostile := filepath.Join(t.TempDir(), "a) Z 1 (b")
	require.NoError(t, os.Symlink(sleep, hostile))
	command := exec.Command(hostile, "3600")
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command
}

func TestKillEndsTheProcessThatWasIdentified(t *testing.T) {
	command := start(t)
	identified, err := identify(command.Process.Pid)
	require.NoError(t, err)
	read, err := parseProcess(identified.String() + "\n")
	require.NoError(t, err)
	assert.Equal(t, identified, read)

	require.NoError(t, read.kill(t.Context()))
	_, err = identify(command.Process.Pid)
	assert.ErrorIs(t, err, fs.ErrNotExist, "nobody has waited for it yet, but it has ended")
	assert.EqualError(t, command.Wait(), "signal: killed")
	assert.NoError(t, read.kill(t.Context()), "it has ended already")
}

func TestKillSparesAnotherProcessOfThePid(t *testing.T) {
	command := start(t)
	identified, err := identify(command.Process.Pid)
	require.NoError(t, err)
	earlier := process{identified.pid, "1"}
	require.NoError(t, earlier.kill(t.Context()))
	again, err := identify(identified.pid)
	require.NoError(t, err)
	assert.Equal(t, identified, again)
}

func TestAwaitReadableEndsWithItsContext(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _, _ = read.Close(), write.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, awaitReadable(ctx, int(read.Fd())), context.Canceled)
}

func TestParseProcessRejects(t *testing.T) {
	for _, text := range []string{"", "12", "x 12"} {
		_, err := parseProcess(text)
		assert.Error(t, err, text)
	}
}
