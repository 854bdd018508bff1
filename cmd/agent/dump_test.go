package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// crash ends a shell by a signal that leaves a core file where one is allowed.
const crash = "ulimit -S -c unlimited; exec \"$@\""

// leavesNeedle runs a command in a directory of its own, with core files allowed to begin with, and
// tells whether it left a file that has the needle.
func leavesNeedle(t *testing.T, args ...string) bool {
	t.Helper()
	dir := t.TempDir()
	command := testwait.Command(t, "sh", append([]string{"-c", crash, "sh"}, args...)...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CONTROL=n33dle-in-the-open")
	said, err := command.CombinedOutput()
	require.Error(t, err, "it crashes")
	assert.NotContains(t, string(said), "n33dle")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(dir, file.Name()))
		require.NoError(t, err)
		if bytes.Contains(content, []byte("n33dle")) {
			return true
		}
	}
	return false
}

func TestACrashUnderTheAgentLeavesNoCoreFile(t *testing.T) {
	volume := newVolume(t, map[[2]string]string{{"variable", "region"}: "n33dle-of-the-volume"})
	exec := []string{"agent", "exec", "--dir", volume, "--", "sh", "-c"}
	limits, err := testwait.Command(t, "agent", "exec", "--dir", volume, "--", "grep", "core", "/proc/self/limits").Output()
	require.NoError(t, err)
	assert.Regexp(t, `^Max core file size +[01] `, string(limits), "a soft limit of 1, or 0 where the hard one is")
	if !leavesNeedle(t, "sh", "-c", "kill -ABRT $$") {
		t.Log("a crash leaves no core file in the working directory here (kernel.core_pattern, or a hard limit): only the limit is tested")
		return
	}
	assert.False(t, leavesNeedle(t, append(exec, "kill -ABRT $$")...))
	assert.False(t, leavesNeedle(t, append(exec, "sh -c 'kill -ABRT $$'; kill -ABRT $$")...), "nor does a child")
	assert.True(t, leavesNeedle(t, append(exec, "ulimit -S -c unlimited; kill -ABRT $$")...), "a program may allow it again")
}
