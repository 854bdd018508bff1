package mount

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whichever way the kernel is asked, it says the same.
func TestBothWaysToAskOfAMountAgree(t *testing.T) {
	dir := t.TempDir()
	require.NotEmpty(t, mountBind(t, dir))
	for _, path := range []string{newVolume(t, megabyte), filepath.Join(dir, "mount"), "/proc", t.TempDir()} {
		handle, err := openPath(path, 0)
		require.NoError(t, err)
		defer handle.close()
		at, err := mountOf(handle)
		require.NoError(t, err)
		told, err := at.info(handle)
		require.NoError(t, err)
		at.unique = false
		listed, err := at.info(handle)
		require.NoError(t, err)
		listed.Target, told.Target = "", ""
		assert.Equal(t, listed, told, path)
	}
}

func TestAMountThatIsNotThereIsNotTold(t *testing.T) {
	_, told := statmount(1 << 60)
	assert.False(t, told)
}
