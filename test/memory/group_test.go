package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
)

// chartLimit is the chart's driver.resources.limits.memory.
const chartLimit = 256 << 20

// group is a control group of version 1, which outlives the processes in it as a pod's does.
type group string

// newGroup makes one with the limit, below this process's own, or ends the test where none can be
// made.
func newGroup(t *testing.T, name string, limit int) group {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	own := ""
	for line := range strings.Lines(string(text)) { // "4:memory:/path"
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 && fields[1] == "memory" {
			own = fields[2]
		}
	}
	made := group(filepath.Join("/sys/fs/cgroup/memory", own, fmt.Sprint("leoflow-memory-", name, os.Getpid())))
	err = os.Mkdir(string(made), 0o755)
	if err == nil {
		err = os.WriteFile(made.file("memory.limit_in_bytes"), []byte(strconv.Itoa(limit)), 0o644)
	}
	if err != nil {
		_ = os.Remove(string(made))
		testneed.Missing(t, fmt.Sprintf("no control group of version 1 with a limit can be made (%v)", err))
	}
	t.Cleanup(func() {
		// The kernel lets a process go from its group a moment after its end.
		assert.Eventually(t, func() bool { return os.Remove(string(made)) == nil }, 10*time.Second, 10*time.Millisecond)
	})
	return made
}

func (g group) file(name string) string { return filepath.Join(string(g), name) }

// within makes a directory of programs as in bin, each of which runs in its group.
func within(t *testing.T, bin string, groups map[string]group) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(bin, "core"), filepath.Join(dir, "core")))
	for program, group := range groups {
		script := fmt.Sprintf("#!/bin/sh\necho $$ >%s && exec %s \"$@\"\n", group.file("cgroup.procs"), filepath.Join(bin, program))
		require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(script), 0o700))
	}
	return dir
}

// number is what a file of the group's has, after the field's name where there is one.
func (g group) number(t *testing.T, name, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(g.file(name))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); field == "" || fields[0] == field {
			number, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
			require.NoError(t, err)
			return number
		}
	}
	require.Failf(t, "no such number", "%s %s", name, field)
	return 0
}

// kills is how many processes were killed for the limit.
func (g group) kills(t *testing.T) int64 { return g.number(t, "memory.oom_control", "oom_kill") }

// peak is the most that the group had.
func (g group) peak(t *testing.T) int64 { return g.number(t, "memory.max_usage_in_bytes", "") }
