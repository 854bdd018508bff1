package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// directory is one on a tmpfs that is somebody else's, and exported a file of connections.
func directory(t *testing.T) (path, exported string) {
	t.Helper()
	path, exported = t.TempDir(), filepath.Join(t.TempDir(), "connections.json")
	require.NoError(t, unix.Mount("theirs", path, "tmpfs", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(path, unix.MNT_DETACH)) })
	require.NoError(t, os.WriteFile(exported, []byte(`{"warehouse": "postgres://u:needle-password@h/d"}`), 0o600))
	return path, exported
}

func executed(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var text bytes.Buffer
	code = program().Execute(t.Context(), args, cli.Streams{Out: &text, Err: &text})
	assert.NotContains(t, text.String(), "needle")
	return code, text.String()
}

func TestADirectoryIsFilledWithoutADriver(t *testing.T) {
	path, exported := directory(t)
	code, out := executed(t, "complete", "--into="+path)
	assert.Equal(t, cli.Failure, code)
	assert.Contains(t, out, "volume shows no generation yet")

	code, out = executed(t, "--into="+path, "--file-connections="+exported, "--connections=*", "--mode=0400")
	require.Equal(t, cli.OK, code, out)
	content, err := os.ReadFile(filepath.Join(path, "connections", "warehouse"))
	require.NoError(t, err)
	assert.Equal(t, "postgres://u:needle-password@h/d", string(content))

	code, out = executed(t, "complete", "--into="+path)
	assert.Equal(t, cli.OK, code)
	assert.Equal(t, "generation 1 of 1 entries\n", out)
}

// A sidecar is ended by SIGTERM, which is no failure, and leaves what containers read.
func TestASidecarEndsAtSIGTERM(t *testing.T) {
	path, exported := directory(t)
	out, code := new(testwait.Output), make(chan int, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		code <- program().Execute(ctx, []string{"--into=" + path, "--watch", "--file-connections=" + exported, "--connections=warehouse", "--health-address=127.0.0.1:0"}, cli.Streams{Out: out, Err: out})
	}()
	out.Await(t, "the directory is complete")
	second, text := executed(t, "--into="+path, "--file-connections="+exported, "--connections=warehouse")
	assert.Equal(t, cli.Failure, second)
	assert.Contains(t, text, "another fetcher fills it")
	cancel()
	assert.Equal(t, cli.OK, testwait.Receive(t, code), out)
	assert.FileExists(t, filepath.Join(path, "connections", "warehouse"))
}

func TestTheExitCodeTellsWhoseTurnItIs(t *testing.T) {
	path, exported := directory(t)
	file := "--file-connections=" + exported
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("needle-token"), 0o600))
	away := []string{"--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--connections=a", "--wait=10ms", "--task-token-file=" + token}
	for name, row := range map[string]struct {
		args []string
		code int
		says string
	}{
		"missing":        {[]string{file, "--connections=none"}, exitRefused, `fetcher: connection "none" does not exist in file`},
		"no token":       {[]string{"--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--connections=a"}, exitRefused, "core is asked with a token: give --token-file"},
		"away":           {away, exitUnavailable, "core cannot be asked now"},
		"no directory":   {[]string{file, "--connections=warehouse", "--into=/proc"}, cli.Failure, "--into: opening /proc: it is not in memory: give an emptyDir of medium Memory"},
		"a bad id":       {[]string{file, "--connections=a b"}, cli.Misuse, `fetcher: --connections: item 1: checking conn_id "a b": character ' ' at byte 2 is not allowed`},
		"nothing":        {[]string{file}, cli.Misuse, `fetcher: --into: nothing is asked for; list ids under "connections" or "variables"`},
		"no such source": {[]string{file, "--connections=a", "--source=core"}, cli.Misuse, `--source: "core" cannot be had here; there is file`},
		"no size":        {[]string{file, "--connections=a", "--volume-size=1"}, cli.Misuse, "--volume-size 1 is too small; 64Ki is the least"},
		"no time":        {[]string{file, "--connections=a", "--wait=0s"}, cli.Misuse, "--wait must be above 0"},
		"for a node":     {[]string{file, "--connections=a", "--offline-grace=1m"}, cli.Misuse, "--events, --startup-taint and --offline-grace are for the pods of a node, and go not with --into"},
		"without --into": {[]string{file, "--connections=a", "--into="}, cli.Misuse, "--token-file and --task-token-file need --into"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out := executed(t, append([]string{"--into=" + path}, row.args...)...)
			assert.Equal(t, row.code, code, out)
			assert.Contains(t, out, row.says)
		})
	}
	code, out := executed(t, "complete")
	assert.Equal(t, cli.Misuse, code)
	assert.Equal(t, "fetcher: --into is needed\n", out)
}
