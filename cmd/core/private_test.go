package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// startServing starts core as a process of its own and returns once it serves, with the
// directory of its files.
func startServing(t *testing.T) (process *os.Process, dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string]string{
		"variables.yaml": "env: n33dle\n", "rules.yaml": "rules: []\n", "jwt.key": "n33dle-jwt-key-0a1B2c3D4e5F6g7H8i9J\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	command := testwait.Command(t, "core", "serve", "--listen=127.0.0.1:0", "--plaintext-loopback", "--audit-log=audit.jsonl",
		"--variables=variables.yaml", "--rules=rules.yaml", "--jwt-key-file=jwt.key")
	command.Dir = dir
	if os.Geteuid() == 0 { // the files that /proc has of it would be root's in any case
		const nogroup = 65534
		testneed.Group(t, nogroup)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Gid: nogroup, NoSetGroups: true}}
	}
	log, err := command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	line, err := bufio.NewReader(log).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "core is serving")
	t.Cleanup(func() {
		require.NoError(t, command.Process.Signal(os.Interrupt))
		require.NoError(t, command.Wait())
	})
	return command.Process, dir
}

// The kernel gives what /proc has of a process to root where that can neither dump core
// nor be looked into by its own user.
func TestMemoryIsPrivate(t *testing.T) {
	process, _ := startServing(t)
	info, err := os.Stat(fmt.Sprintf("/proc/%d/stat", process.Pid))
	require.NoError(t, err)
	assert.Zero(t, info.Sys().(*syscall.Stat_t).Gid)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", process.Pid))
	require.NoError(t, err)
	assert.Regexp(t, `Max core file size +0 +0 `, string(limits))
}

func TestTheAuditLogIsItsOwnersAlone(t *testing.T) {
	_, dir := startServing(t)
	info, err := os.Stat(filepath.Join(dir, "audit.jsonl"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
}
