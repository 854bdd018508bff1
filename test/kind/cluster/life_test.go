package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/kind/sandbox"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

// However a cluster's life ends, 'down' leaves the machine as it was.
func TestNothingRemains(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "cluster")
	output, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	for _, row := range []struct {
		name string
		live func(*testing.T, *life)
	}{
		{"ready", func(_ *testing.T, l *life) { l.must("up"); l.must("status") }},
		{"rebooted", func(_ *testing.T, l *life) { l.must("up"); l.must("reboot") }},
		{"with a pod that mounts", func(_ *testing.T, l *life) { l.must("up"); l.smoke("TestBidirectionalMountReachesTheNode") }},
		{"never up", func(*testing.T, *life) {}},
		{"interrupted while it starts", func(t *testing.T, l *life) {
			assert.Error(t, l.upUntil("starting", os.Interrupt))
			l.running(t, false)
		}},
		{"killed while it starts", func(t *testing.T, l *life) { assert.Error(t, l.upUntil("starting", os.Kill)) }},
		{"node killed", func(t *testing.T, l *life) {
			l.must("up")
			require.NoError(t, syscall.Kill(l.running(t, true), syscall.SIGKILL))
		}},
		{"up again after the node was killed", func(t *testing.T, l *life) {
			l.must("up")
			require.NoError(t, syscall.Kill(l.running(t, true), syscall.SIGKILL))
			l.must("up")
		}},
		{"not ready in time", func(t *testing.T, l *life) {
			assert.Error(t, l.command("up", "--timeout=10ms").Run())
			l.running(t, false)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := &life{t, binary, state.Dir(filepath.Join(t.TempDir(), "state"))}
			before := l.look()
			t.Cleanup(func() { l.must("down") }) // also if a step fails
			row.live(t, l)
			l.must("down")
			assert.Equal(t, before, l.look())
			l.must("down") // a second time is no error
		})
	}
}

// life is what happens to one cluster.
type life struct {
	*testing.T
	binary string
	dir    state.Dir
}

func (l *life) command(verb string, flags ...string) *exec.Cmd {
	command := exec.Command(l.binary, append([]string{verb, "--state=" + string(l.dir)}, flags...)...)
	command.Dir = ".." // where the module is
	return command
}

func (l *life) must(verb string) {
	l.Helper()
	output, err := l.command(verb).CombinedOutput()
	require.NoError(l, err, string(output))
}

// smoke runs one of those tests. It leaves its namespace to be deleted, and does not wait.
func (l *life) smoke(test string) {
	l.Helper()
	command := exec.Command("go", "test", "-count=1", "-run=^"+test+"$", "../smoke")
	command.Env = append(os.Environ(), "KUBECONFIG="+l.dir.Kubeconfig())
	output, err := command.CombinedOutput()
	require.NoError(l, err, string(output))
}

// upUntil sends the signal once 'up' says that it does that, and returns its end.
func (l *life) upUntil(says string, signal os.Signal) error {
	command := l.command("up")
	progress, err := command.StderrPipe()
	require.NoError(l, err)
	require.NoError(l, command.Start())
	lines := bufio.NewScanner(progress)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), says) {
	}
	require.NoError(l, command.Process.Signal(signal))
	_, err = io.Copy(io.Discard, progress)
	require.NoError(l, err)
	return command.Wait()
}

func (l *life) running(t *testing.T, want bool) (pid int) {
	pid, running := sandbox.Running(l.dir)
	require.Equal(t, want, running)
	return pid
}

// machine is what a node could leave behind.
type machine struct {
	Mounts, Cgroups, Links, Rules, Tunables, Namespaces, Processes []string
	State                                                          bool
}

func (l *life) look() machine {
	l.Helper()
	_, err := os.Stat(string(l.dir))
	return machine{
		Mounts:     mentioning(string(l.dir), l.read("/proc/self/mountinfo")),
		Cgroups:    l.output("find", "/sys/fs/cgroup", "-name", "leoflow-*", "-o", "-name", "kube*"),
		Links:      l.output("ip", "-oneline", "link"),
		Rules:      l.output("iptables-save"),
		Tunables:   l.output("sysctl", "vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.keys"),
		Namespaces: l.output("ip", "netns", "list"),
		Processes:  l.elsewhere(),
		State:      err == nil,
	}
}

func (l *life) output(command string, args ...string) []string {
	l.Helper()
	output, err := exec.Command(command, args...).Output()
	require.NoError(l, err, command)
	return strings.Split(string(output), "\n")
}

func (l *life) read(path string) []byte {
	l.Helper()
	content, err := os.ReadFile(path)
	require.NoError(l, err)
	return content
}

// elsewhere are the processes of process namespaces other than this one. A zombie is not
// counted: it waits for the machine's process 1, which takes its time.
func (l *life) elsewhere() []string {
	l.Helper()
	here, err := os.Readlink("/proc/self/ns/pid")
	require.NoError(l, err)
	directories, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(l, err)
	var processes []string
	for _, directory := range directories {
		namespace, err := os.Readlink(directory + "/ns/pid")
		status, statusErr := os.ReadFile(directory + "/status")
		if err != nil || statusErr != nil || namespace == here || bytes.Contains(status, []byte("State:\tZ")) {
			continue
		}
		processes = append(processes, directory+" "+namespace)
	}
	return processes
}

func mentioning(word string, text []byte) []string {
	var lines []string
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte(word)) {
			lines = append(lines, string(line))
		}
	}
	return lines
}
