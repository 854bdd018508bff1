package mount

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

func TestWriteShowsContentInTheAtomicWriterLayout(t *testing.T) {
	target := newVolume(t, megabyte)
	content := newContent()

	outcome, err := Write(target, content)
	require.NoError(t, err)
	assert.Equal(t, Outcome{Generation: 1, Changed: true}, outcome)

	for _, file := range content.Files {
		data, err := os.ReadFile(filepath.Join(target, file.Path))
		require.NoError(t, err)
		assert.Equal(t, file.Data, data)
	}
	for _, name := range append(layout.ValueDirs(), layout.ManifestFile) {
		link, err := os.Readlink(filepath.Join(target, name))
		require.NoError(t, err)
		assert.Equal(t, "..data/"+name, link)
	}
	assertTidy(t, target)
}

// assertTidy makes sure that a volume holds one generation and nothing left over.
func assertTidy(t testing.TB, target string) {
	t.Helper()
	generation, err := os.Readlink(filepath.Join(target, layout.DataLink))
	require.NoError(t, err)
	entries, err := os.ReadDir(target)
	require.NoError(t, err)
	var hidden []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") {
			hidden = append(hidden, entry.Name())
		}
	}
	assert.ElementsMatch(t, []string{layout.DataLink, generation}, hidden)
}

func TestWriteOfTheSameContentOnlyConfirmsIt(t *testing.T) {
	target := newVolume(t, megabyte)
	content := newContent()
	_, err := Write(target, content)
	require.NoError(t, err)
	before, err := os.Readlink(filepath.Join(target, layout.DataLink))
	require.NoError(t, err)

	content.Manifest.Fetched = fetched.Add(1)
	outcome, err := Write(target, content)
	require.NoError(t, err)
	assert.Equal(t, Outcome{Generation: 1}, outcome)
	after, err := os.Readlink(filepath.Join(target, layout.DataLink))
	require.NoError(t, err)
	assert.Equal(t, before, after)
	current, err := Current(target)
	require.NoError(t, err)
	assert.True(t, current.Confirmed.Equal(fetched.Add(1)))
	assert.True(t, current.Manifest.Fetched.Equal(fetched))
}
