package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
)

// directory is one on a tmpfs that is somebody else's, and exported a file of connections.
func directory(t *testing.T) (path, exported string) {
	t.Helper()
	path, exported = mounttest.Tmpfs(t, ""), filepath.Join(t.TempDir(), "connections.json")
	require.NoError(t, os.WriteFile(exported, []byte(`{"warehouse": "postgres://u:needle-password@h/d"}`), 0o600))
	return path, exported
}

func executed(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var text bytes.Buffer
	code = programOf("").Execute(t.Context(), args, cli.Streams{Out: &text, Err: &text})
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
		code <- programOf("").Execute(ctx, []string{"--into=" + path, "--watch", "--file-connections=" + exported, "--connections=warehouse", "--health-address=127.0.0.1:0"}, cli.Streams{Out: out, Err: out})
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
		"not its own":    {[]string{file, "--connections=a", "--mode=0044"}, cli.Misuse, "--mode: 044 does not let the fetcher's own user read, as its startup probe has to"},
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

// A pod may write no events: its status has what kubelet finds in the file, and the event of a failed startup probe
// what the probe prints.
func TestAPodShowsWhyItsDirectoryIsNotComplete(t *testing.T) {
	path, exported := directory(t)
	words := filepath.Join(t.TempDir(), "termination-log")
	run := func(ctx context.Context, out *testwait.Output, args ...string) int {
		return programOf(lastWords(words)).Execute(ctx, append(args, "--into="+path), cli.Streams{Out: out, Err: out})
	}
	fromFile := []string{"--file-connections=" + exported, "--watch"}
	assert.Equal(t, exitRefused, run(t.Context(), new(testwait.Output), append(fromFile, "--connections=none")...))
	assert.NoFileExists(t, words, "outside a container there is none")

	require.NoError(t, os.WriteFile(words, nil, 0o600))
	assert.Equal(t, exitRefused, run(t.Context(), new(testwait.Output), append(fromFile, "--connections=none")...))
	assert.Contains(t, readText(t, words), `connection "none" does not exist in file`)
	assert.Equal(t, cli.Misuse, run(t.Context(), new(testwait.Output), append(fromFile, "--connections=a b")...))
	assert.Contains(t, readText(t, words), "--connections: item 1")
	assert.Equal(t, cli.Misuse, run(t.Context(), new(testwait.Output), "--conections=a"))
	assert.Contains(t, readText(t, words), "--conections is not a flag (did you mean --connections?)")
	t.Setenv("LEOFLOW_WAIT", "soon")
	assert.Equal(t, cli.Misuse, run(t.Context(), new(testwait.Output), append(fromFile, "--connections=warehouse")...))
	assert.Contains(t, readText(t, words), "environment variable LEOFLOW_WAIT")
	require.NoError(t, os.Unsetenv("LEOFLOW_WAIT"))

	ctx, cancel := context.WithCancel(t.Context())
	out, code := new(testwait.Output), make(chan int, 1)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("needle-token"), 0o600))
	go func() {
		code <- run(ctx, out, "--watch", "--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--connections=a", "--task-token-file="+token)
	}()
	out.Await(t, "waiting for a source")
	require.Eventually(t, func() bool { return strings.HasPrefix(readText(t, words), "core cannot be asked now") }, testwait.Limit, time.Millisecond)
	probe := new(testwait.Output)
	assert.Equal(t, cli.Failure, run(t.Context(), probe, "complete"))
	assert.Contains(t, probe.String(), "volume shows no generation yet: core cannot be asked now")
	cancel()
	assert.Equal(t, cli.OK, testwait.Receive(t, code))

	ctx, cancel = context.WithCancel(t.Context())
	out = new(testwait.Output)
	go func() { code <- run(ctx, out, append(fromFile, "--connections=warehouse")...) }()
	out.Await(t, "the directory is complete")
	cancel()
	assert.Equal(t, cli.OK, testwait.Receive(t, code))
	assert.Empty(t, readText(t, words), "what goes well is not spoken of")

	require.NoError(t, os.Remove(words))
	require.NoError(t, unix.Mkfifo(words, 0o600))
	assert.Equal(t, cli.Misuse, run(t.Context(), new(testwait.Output), append(fromFile, "--connections=a b")...), "nobody waits for who reads a pipe")
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// Whoever ends a run before it is done finds that in its exit code, as of any program.
func TestARunThatIsEndedSaysSo(t *testing.T) {
	path, _ := directory(t)
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("needle-token"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	out, code := new(testwait.Output), make(chan int, 1)
	go func() {
		code <- programOf("").Execute(ctx, []string{"--into=" + path, "--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--connections=a", "--task-token-file=" + token},
			cli.Streams{Out: out, Err: out})
	}()
	out.Await(t, "waiting for a source")
	cancel()
	assert.Equal(t, 143, testwait.Receive(t, code))
	assert.Contains(t, out.String(), "fetcher: ended by a signal before the directory was complete: core cannot be asked now")
}
