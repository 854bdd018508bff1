package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

const nogroup = 65534

// notRoots makes a process one whose files in /proc are not root's, so that isPrivate
// can tell.
func notRoots(t *testing.T, command *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Geteuid() == 0 {
		testneed.Group(t, nogroup)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Gid: nogroup, NoSetGroups: true}}
	}
	return command
}

// isPrivate tells whether a process can neither dump core nor be looked into by its own
// user: the kernel gives what /proc has of such a process to root.
func isPrivate(t *testing.T, pid int) bool {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid == 0 && stat.Gid == 0
}

// TestWhoHoldsValuesIsPrivate looks at agents that have read values and are at their
// work: one line of what they print is read, and there is more than a pipe holds.
func TestWhoHoldsValuesIsPrivate(t *testing.T) {
	entries := map[[2]string]string{}
	for number := range 30 {
		entries[[2]string{"variable", fmt.Sprint("large", number)}] = strings.Repeat("x", 100_000)
	}
	volume := newVolume(t, entries)
	small := newVolume(t, map[[2]string]string{{"variable", "region"}: "north"})
	for _, row := range []struct {
		args    []string
		private bool
	}{
		{[]string{"sh", "-c", "echo; cat"}, false},
		{[]string{"agent", "env", "--format=export", "--dir", volume}, true},
		{[]string{"agent", "exec", "--on-rotate=restart", "--dir", small, "--", "sh", "-c", "echo; cat"}, true},
		{[]string{"agent", "exec", "--dir", small, "--", "sh", "-c", "echo; cat"}, false}, // the program itself
	} {
		command := notRoots(t, testwait.Command(t, row.args[0], row.args[1:]...))
		in, err := command.StdinPipe()
		require.NoError(t, err)
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		printed := bufio.NewReader(out)
		_, err = printed.ReadString('\n')
		require.NoError(t, err, row.args)
		assert.Equal(t, row.private, isPrivate(t, command.Process.Pid), row.args)
		require.NoError(t, in.Close())
		_, err = io.Copy(io.Discard, printed)
		require.NoError(t, err)
		require.NoError(t, command.Wait(), row.args)
	}
}
