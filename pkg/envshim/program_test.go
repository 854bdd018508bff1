package envshim

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	create := func(name string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, mode))
	}
	create("a/plain", 0o644)
	create("b/plain", 0o755)
	create("a/onlyplain", 0o644)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/folder"), 0o755))
	t.Chdir(filepath.Join(dir, "b"))
	path := filepath.Join(dir, "a") + ":" + filepath.Join(dir, "b")

	for _, row := range []struct {
		command, path, found string
		code                 int
		message              string
	}{
		{"plain", path, dir + "/b/plain", 0, ""},
		{"plain", "", "", 127, "\"plain\": command not found in PATH"},
		{"plain", ":/nowhere", "./plain", 0, ""},
		{"./plain", "", "./plain", 0, ""},
		{dir + "/b/plain", "", dir + "/b/plain", 0, ""},
		{"onlyplain", path, "", 126, dir + "/a/onlyplain: permission denied"},
		{"folder", path, "", 126, dir + "/a/folder: is a directory"},
		{"absent", path, "", 127, "\"absent\": command not found in PATH"},
		{"plain --help", path, "", 127, `"plain --help": command not found in PATH: it is one argument with a space in it; give the program and its arguments one by one, or a shell: sh -c`},
		{"./absent", path, "", 127, "./absent: no such file or directory"},
		{"./plain/absent", path, "", 127, "./plain/absent: not a directory"},
		{"", path, "", 127, "\"\": command not found in PATH"},
	} {
		found, err := Find(row.command, row.path)
		if row.message == "" {
			assert.NoError(t, err)
			assert.Equal(t, row.found, found)
			continue
		}
		var start *StartError
		require.ErrorAs(t, err, &start)
		assert.Equal(t, row.code, start.ExitCode, row.command)
		assert.EqualError(t, err, row.message)
	}
}

// Whoever is not root has a PATH with root's directories in it soon enough.
func TestFindInADirectoryThatMayNotBeSearched(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"closed/plain", "closed/hidden", "open/plain"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "open/data"), nil, 0o644))
	require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0))
	withoutCapabilities(t, func() {
		search := dir + "/closed:" + dir + "/open"
		found, err := Find("plain", search)
		assert.NoError(t, err)
		assert.Equal(t, dir+"/open/plain", found)
		for command, row := range map[string]struct {
			code    int
			message string
		}{
			"hidden":                {127, `"hidden": command not found in PATH, of which this user may not search ` + dir + "/closed"},
			"data":                  {126, dir + "/open/data: permission denied"},
			dir + "/closed/hidden":  {126, dir + "/closed/hidden: permission denied"},
			dir + "/closed/nothing": {126, dir + "/closed/nothing: permission denied"},
		} {
			_, err := Find(command, search)
			var start *StartError
			require.ErrorAs(t, err, &start)
			assert.Equal(t, row.code, start.ExitCode, command)
			assert.EqualError(t, err, row.message)
		}
	})
}

func TestExecTellsWhyItFailed(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("exit 0\n"), 0o755))
	err := Program{Path: script, Args: []string{script}}.Exec()
	var start *StartError
	require.ErrorAs(t, err, &start)
	assert.Equal(t, 126, start.ExitCode)
	assert.EqualError(t, err, script+": exec format error; a script needs a first line such as #!/bin/sh")
}
func TestForbidCoreDump(t *testing.T) {
	isDumpable := func() int {
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		require.NoError(t, err)
		return dumpable
	}
	require.NoError(t, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0))
	require.Equal(t, 1, isDumpable())
	ForbidCoreDump()
	defer func() { require.NoError(t, unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)) }()
	assert.Zero(t, isDumpable())
}
