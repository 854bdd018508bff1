package audit

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Records go where the path leads, or nothing is handed out.
func TestTheLogFollowsItsPath(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	require.NoError(t, os.Mkdir(folder, 0o700))
	path := filepath.Join(folder, "audit.jsonl")
	file, err := OpenFile(path)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	log := NewLog(file)
	write := func(request string) error {
		return log.WriteOne(t.Context(), Record{Request: request, Decision: Allowed})
	}
	has := func(path, request string) {
		t.Helper()
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Contains(t, string(text), request)
	}
	require.NoError(t, write("first"))
	has(path, "first")
	require.NoError(t, os.Rename(path, path+".1"))
	require.NoError(t, write("second"))
	has(path, "second")
	require.NoError(t, os.Remove(path))
	require.NoError(t, write("third"))
	has(path, "third")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	require.NoError(t, os.Truncate(path, 0))
	require.NoError(t, write("fourth"))
	has(path, "fourth")

	require.NoError(t, os.RemoveAll(folder))
	require.ErrorIs(t, write("lost"), os.ErrNotExist)
	require.NoError(t, os.Mkdir(folder, 0o700))
	require.NoError(t, write("fifth"))
	has(path, "fifth")
}
