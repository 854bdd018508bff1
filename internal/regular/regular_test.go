package regular_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/regular"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	require.NoError(t, os.WriteFile(file, []byte("text"), 0o600))
	require.NoError(t, os.Symlink("file", link)) // as kubelet projects them
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, path := range []string{file, link} {
		content, err := regular.Read(path, 4)
		require.NoError(t, err)
		assert.Equal(t, "text", string(content))
	}
	_, err := regular.Read(file, 3)
	require.EqualError(t, err, "read "+file+": it is larger than 3 bytes")
	_, err = regular.Read(filepath.Join(dir, "none"), 1)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = regular.Read(dir, 1)
	require.ErrorIs(t, err, syscall.EISDIR)
	for _, path := range []string{pipe, "/dev/zero"} {
		_, err = regular.Read(path, 1)
		require.EqualError(t, err, "open "+path+": is no regular file: a pipe, a socket or a device cannot be read in its place")
	}
}
