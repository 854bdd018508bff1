package mounttest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Tmpfs is a directory on one that is not ours, as an emptyDir of medium Memory is, until the end of the test. Options
// are the kernel's.
func Tmpfs(t testing.TB, options string) string {
	t.Helper()
	path := t.TempDir()
	require.NoError(t, unix.Mount("theirs", path, "tmpfs", 0, options))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(path, unix.MNT_DETACH)) })
	return path
}
