package console

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShellKeepsDirectoryAndVariables(t *testing.T) {
	t.Setenv("LC_ALL", "xx_XX.UTF-8") // which bash would complain of
	dir := t.TempDir()
	shell := Open(dir, t.TempDir(), "GIVEN=given")
	for _, command := range []string{"mkdir below; cd below", "word='two words'", "export OTHER=$GIVEN"} {
		output, err := shell.Run(t.Context(), command)
		require.NoError(t, err, output)
	}
	output, err := shell.Run(t.Context(), `pwd; echo "$word, $OTHER"; echo complaint >&2`)
	require.NoError(t, err)
	assert.Equal(t, dir+"/below\ntwo words, given\ncomplaint\n", output)
}

func TestShellTellsWhatFailed(t *testing.T) {
	shell := Open(t.TempDir(), t.TempDir())
	for _, command := range []string{"false", "false; true", "false | cat", "no-such-program"} {
		_, err := shell.Run(t.Context(), command)
		assert.Error(t, err, command)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := shell.Run(ctx, "sleep 60")
	assert.ErrorContains(t, err, "it did not end")
}

func TestShellLeavesServersRunning(t *testing.T) {
	shell := Open(t.TempDir(), t.TempDir())
	output, err := shell.serve(t.Context(), "echo hello; echo ready; exec sleep 60", regexp.MustCompile("ready"))
	require.NoError(t, err)
	assert.Equal(t, "hello\nready\n", output)
	shell.Close()
	assert.NotNil(t, shell.serving[0].ProcessState, "it has ended")

	output, err = shell.serve(t.Context(), "echo no; exit 1", regexp.MustCompile("ready"))
	assert.ErrorContains(t, err, "before it served")
	assert.Equal(t, "no\n", output)
}

func TestCompare(t *testing.T) {
	const printed = "ok: 3 entries, 1 rules\nNAME    READY\nleoflow-driver-x2x7q  1/1 \n"
	const first = "ok: 5 entries, 12 rules"
	for _, shown := range [][]string{{first}, {first, "NAME READY"}, {first, "leoflow-driver-…  1/1"}, {"ok: …"}, {first, ""}, nil} {
		assert.NoError(t, Compare(shown, printed), shown)
	}
	for _, shown := range []string{"ok: no entries, 1 rules", "ok: 3 entries", "NAMEREADY", "leoflow-core-…  1/1"} {
		assert.EqualError(t, Compare([]string{first, shown}, printed), `it does not print "`+shown+`"`)
	}
	for _, shown := range []string{"NAME READY", "leoflow-driver-…  1/1", "ok: … READY"} {
		assert.Error(t, Compare([]string{shown}, printed), "it is not the first line")
	}
}

func TestTrialStopsAtTheFirstFault(t *testing.T) {
	dir := t.TempDir()
	trial := Trial{
		Shell: Open(dir, t.TempDir()), Patience: time.Minute, Log: t.Logf,
		Skip: func(command string) string { return map[string]string{"exit 3": "it is a test"}[command] },
	}
	err := trial.Run(t.Context(), Document{Steps: []Step{
		{At: "page.md:1", File: "task.yaml", Content: "kind: Pod\n"},
		{At: "page.md:2", Command: "exit 3"},
		{At: "page.md:3", Command: "cat task.yaml", Output: []string{"kind: Pod"}},
		{At: "page.md:5", Command: "echo no", Output: []string{"yes"}},
		{At: "page.md:7", Command: "touch never"},
	}})
	assert.EqualError(t, err, "page.md:5: the command\n\techo no\nfails: it does not print \"yes\"; it prints:\nno\n")
	assert.NoFileExists(t, filepath.Join(dir, "never"))
}

func TestAWorktreeIsACheckout(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{".git", "README.md"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, path), []byte(path), 0o600))
	}
	documents, err := Documents(root)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"README.md": "README.md"}, documents)
}

func TestCheckoutLeavesOutWhatWasBuilt(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	for _, path := range []string{"README.md", "docs/page.md", "docs/bin/x", "bin/core", ".git/HEAD", "pkg/testdata/x.md"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, path), []byte(path), 0o755))
	}
	require.NoError(t, Checkout(root, dir))
	assert.FileExists(t, filepath.Join(dir, "docs/bin/x"))
	assert.NoDirExists(t, filepath.Join(dir, "bin"))
	assert.NoDirExists(t, filepath.Join(dir, ".git"))
	documents, err := Documents(root)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"README.md": "README.md", "docs/page.md": "docs/page.md"}, documents)
}
