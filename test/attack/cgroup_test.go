package attack

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const cgroups = "/sys/fs/cgroup"

// isUnified tells cgroups of version 2, by what their documentation says; tried was version 1.
func isUnified() bool {
	_, err := os.Stat(filepath.Join(cgroups, "cgroup.controllers"))
	return err == nil
}

// group is a cgroup, and outlives the processes in it as a pod's does its containers.
type group struct{ path string }

// newGroup makes one: of version 1 below that of this process, of version 2 at the top, since below
// a cgroup that has processes there are none. Whoever is in it when the test ends has ended.
func newGroup(t *testing.T, controller, name string, settings map[string]string) group {
	t.Helper()
	parent := filepath.Join(cgroups, controller, ownGroup(t, controller))
	if isUnified() {
		parent = cgroups
	}
	g := group{filepath.Join(parent, fmt.Sprintf("attack-%d-%s", os.Getpid(), name))}
	require.NoError(t, os.Mkdir(g.path, 0o755))
	t.Cleanup(func() { g.remove(t) })
	for setting, value := range settings {
		require.NoError(t, os.WriteFile(filepath.Join(g.path, setting), []byte(value), 0o644))
	}
	return g
}

// remove tries for a while, since the kernel lets a process go from its cgroup after its end.
func (g group) remove(t *testing.T) {
	t.Helper()
	assert.Eventually(t, func() bool { return os.Remove(g.path) == nil }, 10*time.Second, 10*time.Millisecond, g.path)
}

// memoryGroup is a pod's, with the limit that its only container has.
func memoryGroup(t *testing.T, name string, limit int64) group {
	t.Helper()
	setting := "memory.limit_in_bytes"
	if isUnified() {
		setting = "memory.max"
	}
	return newGroup(t, "memory", name, map[string]string{setting: strconv.FormatInt(limit, 10)})
}

// cpuGroup has so much of one CPU.
func cpuGroup(t *testing.T, name string, share float64) group {
	t.Helper()
	const period = 100_000
	quota := strconv.Itoa(int(share * period))
	if isUnified() {
		return newGroup(t, "cpu", name, map[string]string{"cpu.max": fmt.Sprint(quota, " ", period)})
	}
	return newGroup(t, "cpu", name, map[string]string{"cpu.cfs_period_us": strconv.Itoa(period), "cpu.cfs_quota_us": quota})
}

// ownGroup is this process's; of version 2 it is not asked for.
func ownGroup(t *testing.T, controller string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) { // "4:memory:/path"
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 && slices.Contains(strings.Split(fields[1], ","), controller) {
			return fields[2]
		}
	}
	return ""
}

// under is a command line that runs the one which follows it in the groups.
func under(groups ...group) []string {
	var script strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&script, "echo $$ >%s/cgroup.procs && ", g.path)
	}
	return []string{"/bin/sh", "-c", script.String() + `exec "$@"`, "sh"}
}

// read is a number of the group's.
func (g group) read(t *testing.T, file, field string) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.path, file))
	require.NoError(t, err)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if field == "" || fields[0] == field {
			value, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
			require.NoError(t, err)
			return value
		}
	}
	t.Fatalf("%s of %s has no %s", file, g.path, field)
	return 0
}

// kills is how many processes of the group were killed for its limit.
func (g group) kills(t *testing.T) int64 {
	t.Helper()
	if isUnified() {
		return g.read(t, "memory.events", "oom_kill")
	}
	return g.read(t, "memory.oom_control", "oom_kill")
}

// peak is the most memory that the group had, since it was made.
func (g group) peak(t *testing.T) int64 {
	t.Helper()
	if isUnified() {
		return g.read(t, "memory.peak", "")
	}
	return g.read(t, "memory.max_usage_in_bytes", "")
}
