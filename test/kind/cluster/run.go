package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

// patience is how long a command may take to end after it was asked to.
const patience = 10 * time.Second

// What tests find in their environment: commands that reboot the node and that run a
// command on it, and for this program the directory of the cluster.
const (
	rebootEnv = "LEOFLOW_NODE_REBOOT"
	execEnv   = "LEOFLOW_NODE_EXEC"
	stateEnv  = "LEOFLOW_STATE"
)

func runCommand() cli.Command {
	return cli.Command{
		Name:    "run",
		Summary: "Starts a cluster, runs a command with its KUBECONFIG, and ends the cluster whatever comes.",
		Args:    "-- COMMAND [ARG ...]",
		Details: "Exits as the command does, which finds kubectl in PATH, in " + rebootEnv + " what reboots the node, and in\n" +
			execEnv + " what runs a command there.",
		Examples: `cluster run -- go test -count=1 ./smoke
# with images on the node
cluster run --load driver.tar,core.tar -- go test -count=1 ./suite`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			settings := bindUp(flags)
			archives := flags.String("load", "", "comma-separated `archives` of images to load")
			return func(ctx context.Context, streams cli.Streams, args []string) error {
				if len(args) == 0 {
					return cli.Usagef("no command given")
				}
				return run(ctx, settings(), *archives, streams, args)
			}
		},
	}
}

func run(ctx context.Context, settings upSettings, archives string, streams cli.Streams, args []string) (err error) {
	dir, err := up(ctx, settings, streams.Err)
	if err != nil {
		return err
	}
	defer func() {
		// The command's end, an interrupt perhaps, is no reason to stop here.
		err = errors.Join(err, down(context.WithoutCancel(ctx), dir, streams.Err))
	}()
	if archives != "" {
		if err := load(ctx, dir, strings.Split(archives, ",")); err != nil {
			return err
		}
	}
	environ, err := environment(dir)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	command.Stdin, command.Stdout, command.Stderr = streams.In, streams.Out, streams.Err
	command.Env = environ
	return exitCode(command.Run())
}

// environment is what the command finds the cluster by.
func environment(dir state.Dir) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cluster, err := dir.Cluster()
	if err != nil {
		return nil, err
	}
	return append(os.Environ(),
		"KUBECONFIG="+dir.Kubeconfig(),
		"PATH="+cluster.Binaries+":"+os.Getenv("PATH"),
		stateEnv+"="+string(dir),
		rebootEnv+"="+self+" reboot --state="+string(dir),
		execEnv+"="+self+" exec --state="+string(dir)+" --",
	), nil
}

// exitCode lets this program exit as a command did, and as a shell does if the command
// was ended by a signal.
func exitCode(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &cli.ExitError{Code: 128 + int(status.Signal())}
	}
	return &cli.ExitError{Code: exit.ExitCode()}
}
