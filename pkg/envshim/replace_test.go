package envshim

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// writes is what writes text, as Replace wants it.
func writes(text string) func(io.Writer) error {
	return func(out io.Writer) error {
		_, err := io.WriteString(out, text)
		return err
	}
}

func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// A killed process leaves what it wrote, and the kernel gives its lock back.
func TestReplaceTakesUpWhatAKilledProcessLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	const left = ".out.json.leoflow-tmp"
	require.NoError(t, Replace(path, 0o600, func(out io.Writer) error {
		require.Equal(t, filepath.Join(dir, left), out.(*os.File).Name(), "errors tell of it")
		require.Equal(t, []string{left}, listed(t, dir), "the name is the same for each process")
		return nil
	}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, left), []byte("needle, and more than comes next"), 0o600))
	require.NoError(t, Replace(path, 0o600, writes("new")))
	assert.Equal(t, []string{"out.json"}, listed(t, dir))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "new", string(content))
}

// What another user put in the temporary file's place, to read along, is not written to.
func TestReplaceWritesToNobodyElsesFile(t *testing.T) {
	for name, plant := range map[string]func(temp, other string) error{
		"a link":             func(temp, other string) error { return os.Symlink(other, temp) },
		"another name of it": func(temp, other string) error { return os.Link(other, temp) },
		"a pipe":             func(temp, _ string) error { return unix.Mkfifo(temp, 0o600) },
	} {
		dir := t.TempDir()
		path, other := filepath.Join(dir, "out"), filepath.Join(dir, "other")
		require.NoError(t, os.WriteFile(other, []byte("kept"), 0o600))
		require.NoError(t, plant(filepath.Join(dir, ".out.leoflow-tmp"), other))
		require.NoError(t, Replace(path, 0o600, writes("needle")), name)
		for file, want := range map[string]string{other: "kept", path: "needle"} {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, want, string(content), name)
		}
		info, err := os.Lstat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode(), name)
		assert.Equal(t, []string{"other", "out"}, listed(t, dir), name)
	}
	// One that cannot be removed is not written to either.
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".out.leoflow-tmp", "full"), 0o700))
	assert.ErrorContains(t, Replace(filepath.Join(dir, "out"), 0o600, writes("needle")), "replacing "+filepath.Join(dir, "out")+": remove ")
	assert.NoFileExists(t, filepath.Join(dir, "out"))
}

func TestReplaceAtOnceShowsOneWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	require.NoError(t, Replace(path, 0o600, writes("")))
	var all sync.WaitGroup
	for _, letter := range []string{"a", "b", "c", "d"} {
		all.Go(func() {
			for range 50 {
				assert.NoError(t, Replace(path, 0o600, func(out io.Writer) error {
					for range 10 {
						_, _ = io.WriteString(out, strings.Repeat(letter, 100))
					}
					return nil
				}))
				content, err := os.ReadFile(path)
				assert.NoError(t, err)
				assert.Equal(t, strings.Repeat(string(content[:1]), 1000), string(content))
			}
		})
	}
	all.Wait()
	assert.Equal(t, []string{"out"}, listed(t, dir))
}
