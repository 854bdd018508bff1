package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// mostQueued is how many events the kernel keeps for one that does not take them.
func mostQueued(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	require.NoError(t, err)
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return most
}

// freeze returns once every thread of the agent has stopped.
func (s *supervisor) freeze() {
	s.Helper()
	s.send(unix.SIGSTOP)
	require.Eventually(s, func() bool {
		stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.agent.Process.Pid))
		require.NoError(s, err)
		for _, path := range stats {
			if text, err := os.ReadFile(path); err == nil && !strings.Contains(string(text), ") T ") {
				return false
			}
		}
		return true
	}, testwait.Limit, time.Millisecond)
}

// The notice of the rotation is among those that the kernel has no room for.
func TestARotationBehindAnOverflowIsNotMissed(t *testing.T) {
	s := supervise(t, "--on-rotate=signal:HUP")
	s.freeze()
	stray := filepath.Join(s.volume, "stray")
	for range mostQueued(t)/2 + 1 { // two events each
		require.NoError(t, os.Symlink("nowhere", stray))
		require.NoError(t, os.Remove(stray))
	}
	s.deliver("1")
	s.send(unix.SIGCONT)
	s.says("SIGHUP")
	s.deliver("2")
	s.says("SIGHUP")
	s.stops()
}
