package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHierarchies(t *testing.T) {
	for _, row := range []struct{ name, mountinfo, want string }{
		{"version 2", "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw", "/sys/fs/cgroup"},
		{"version 1", "31 30 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "/sys/fs/cgroup/cpu"},
		{"something else", "32 24 0:28 / /cgroup2 rw - tmpfs cgroup rw", ""},
		{"cut short", "32 24", ""},
	} {
		assert.Equal(t, row.want, joined(hierarchies([]byte(row.mountinfo))), row.name)
	}
	twice := "31 30 0:27 / /b rw - cgroup a rw\n32 30 0:27 / /b rw - cgroup a rw\n33 30 0:28 / /a rw - cgroup2 a rw\n"
	assert.Equal(t, []string{"/a", "/b"}, hierarchies([]byte(twice)))
}

func joined(paths []string) string { return filepath.Join(paths...) }

// Directories stand in for cgroups, which have files that need not be removed.
func TestRemoveCgroupRemovesChildrenFirst(t *testing.T) {
	cgroup := filepath.Join(t.TempDir(), "leoflow")
	require.NoError(t, os.MkdirAll(filepath.Join(cgroup, "kubepods", "burstable", "pod1"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(cgroup, "kubepods", "pod2"), 0o755))
	require.NoError(t, removeCgroup(cgroup))
	assert.NoDirExists(t, cgroup)
	assert.NoError(t, removeCgroup(cgroup), "it has gone already")
}
