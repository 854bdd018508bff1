package keyfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNoErrorNamesTheFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "n33dle")
	require.NoError(t, os.Mkdir(folder, 0o700))
	large, key := filepath.Join(folder, "large"), filepath.Join(folder, "key")
	require.NoError(t, os.WriteFile(large, make([]byte, mostBytes+1), 0o600))
	require.NoError(t, os.WriteFile(key, make([]byte, mostBytes), 0o600))
	for name, want := range map[string]string{
		"postgresql://airflow:n33dle@db/airflow": "opening the file that it names: no such file or directory",
		strings.Repeat("n33dle", 1000):           "opening the file that it names: file name too long",
		"n33dle\x00":                             "opening the file that it names: invalid argument",
		folder:                                   "reading the file that it names: is a directory",
		large:                                    "the file that it names is larger than 64 KiB",
	} {
		_, err := Read("--seal-key-file", name)
		assert.EqualError(t, err, "--seal-key-file: "+want)
	}
	_, err := Read("--seal-key-file", "n33dle")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	content, err := Read("--seal-key-file", key)
	assert.NoError(t, err)
	assert.Equal(t, mostBytes, content.Len())
}
