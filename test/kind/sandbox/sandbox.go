// Package sandbox gives a node namespaces of its own: processes, mounts, network, host
// name and IPC. What the node does there ends with its process 1, whatever the way it
// ends, because the kernel kills every process of the namespace with it and then drops
// mounts, interfaces and firewall rules. Only cgroups, the link's end on the host and
// the state directory outlive it, and Stop removes the first two.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/leoflow/secrets-csi/test/kind/state"
)

const record = "node.pid"

// environment is all that programs in the node get of one: what a person has set, a proxy
// above all, is about another network.
var environment = []string{"PATH=" + searchPath, "HOME=/root"}

const namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
	syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// Start runs this program with the arguments init as process 1 of a new node, and calls
// settle once that reports that it is ready. Until settle returns nil, the node ends when
// this process does. Whoever gets an error has to call Stop.
func Start(ctx context.Context, dir state.Dir, settle func() error, init ...string) error {
	if err := createCgroups(dir.Name()); err != nil {
		return err
	}
	ends, err := newPipes()
	if err != nil {
		return err
	}
	defer ends.close()
	pid, err := spawn(ctx, dir, ends, init)
	if err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	if err := connect(ctx, dir, pid); err != nil {
		return err
	}
	if err := ends.lease.send(beginning); err != nil {
		return fmt.Errorf("starting the node: %w", err)
	}
	if err := ends.await(ctx); err != nil {
		return fmt.Errorf("starting the node: %w (logs are in %s)", err, dir.Path("var", "log"))
	}
	if err := settle(); err != nil {
		return err
	}
	return ends.lease.send(staying)
}

func spawn(ctx context.Context, dir state.Dir, ends *pipes, init []string) (pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	output, err := os.OpenFile(dir.Path("var", "log", "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() { _ = output.Close() }()
	command := exec.CommandContext(context.WithoutCancel(ctx), self, init...) // it outlives its starter
	command.Stdout, command.Stderr = output, output
	command.ExtraFiles = ends.given[:]
	command.Env = environment
	// A session of its own keeps it from the terminal's signals.
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true}
	if err := command.Start(); err != nil {
		return 0, err
	}
	ends.closeGiven()
	node, err := identify(command.Process.Pid)
	if err != nil {
		return 0, err
	}
	return node.pid, os.WriteFile(dir.Path(record), []byte(node.String()), 0o644)
}

// Stop ends the node, if it runs, and removes what of it outlives its processes. The
// state directory stays.
func Stop(ctx context.Context, dir state.Dir) error {
	node, err := recorded(dir)
	if err == nil {
		err = node.kill(ctx)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stopping the node: %w", err)
	}
	if err := disconnect(ctx, dir); err != nil {
		return err
	}
	if err := removeCgroups(dir.Name()); err != nil {
		return err
	}
	return os.RemoveAll(dir.Path(record))
}

// Running returns the pid, on the host, of the node's process 1.
func Running(dir state.Dir) (pid int, running bool) {
	node, err := recorded(dir)
	if err != nil {
		return 0, false
	}
	now, err := identify(node.pid)
	return node.pid, err == nil && now == node
}

// Command prepares a command that will run inside the node.
func Command(ctx context.Context, dir state.Dir, words ...string) (*exec.Cmd, error) {
	pid, running := Running(dir)
	if !running {
		return nil, fmt.Errorf("no cluster runs in %s; 'up' starts one", dir)
	}
	enter := []string{"--target", strconv.Itoa(pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--"}
	command := exec.CommandContext(ctx, "nsenter", append(enter, words...)...)
	command.Env = environment
	return command, nil
}

func recorded(dir state.Dir) (process, error) {
	content, err := os.ReadFile(dir.Path(record))
	if err != nil {
		return process{}, err
	}
	return parseProcess(string(content))
}
