package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
)

// commitOnce makes a repository with one commit.
func commitOnce(t *testing.T) (directory string) {
	t.Helper()
	testneed.Program(t, "git")
	directory = t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+who+"_NAME", "someone")
		t.Setenv("GIT_"+who+"_EMAIL", "someone@example.com")
		t.Setenv("GIT_"+who+"_DATE", "2026-01-02T03:04:05+02:00")
	}
	run(t, directory, "init", "--quiet")
	run(t, directory, "commit", "--quiet", "--allow-empty", "--message", "begin")
	return directory
}

func run(t *testing.T, directory string, args ...string) []string {
	t.Helper()
	lines, err := git(t.Context(), directory, args...)
	require.NoError(t, err)
	return lines
}

func TestReadCheckout(t *testing.T) {
	directory := commitOnce(t)
	run(t, directory, "tag", "v0.1.0")
	run(t, directory, "tag", "--annotate", "--message", "second", "v0.2.0")
	require.NoError(t, os.Mkdir(filepath.Join(directory, "inner"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(directory, "inner", "new"), nil, 0o644))

	c, err := readCheckout(t.Context(), filepath.Join(directory, "inner"))
	require.NoError(t, err)
	assert.Equal(t, run(t, directory, "rev-parse", "HEAD")[0], c.commit)
	assert.Equal(t, time.Date(2026, 1, 2, 1, 4, 5, 0, time.UTC), c.committed)
	assert.Equal(t, map[string]string{"v0.1.0": c.commit, "v0.2.0": c.commit}, c.tags, "an annotated tag is its commit's")
	assert.Equal(t, []version{"0.1.0", "0.2.0"}, c.versions())
	assert.Equal(t, []string{"?? inner/"}, c.changes)
}

func TestReadCheckoutWhereThereIsNone(t *testing.T) {
	testneed.Program(t, "git")
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	t.Setenv("LC_ALL", "C") // or git says it in the language of whoever runs this
	_, err := readCheckout(t.Context(), t.TempDir())
	assert.ErrorContains(t, err, "looking for the commit to release: git rev-parse: fatal: not a git repository")
}
