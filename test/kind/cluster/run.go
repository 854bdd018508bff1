package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// patience is how long a command may take to end after it was asked to.
const patience = 10 * time.Second

func runCommand() cli.Command {
	return cli.Command{
		Name:     "run",
		Summary:  "Starts a cluster, runs a command with its KUBECONFIG, and ends the cluster whatever comes.",
		Args:     "-- COMMAND [ARG ...]",
		Details:  "Exits as the command does.",
		Examples: `cluster run -- go test -count=1 ./smoke`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			settings := bindUp(flags)
			return func(ctx context.Context, streams cli.Streams, args []string) error {
				if len(args) == 0 {
					return cli.Usagef("no command given")
				}
				return run(ctx, settings(), streams, args)
			}
		},
	}
}

func run(ctx context.Context, settings upSettings, streams cli.Streams, args []string) (err error) {
	dir, err := up(ctx, settings, streams.Err)
	if err != nil {
		return err
	}
	defer func() {
		// The command's end, an interrupt perhaps, is no reason to stop here.
		err = errors.Join(err, down(context.WithoutCancel(ctx), dir, streams.Err))
	}()
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = patience
	command.Stdin, command.Stdout, command.Stderr = streams.In, streams.Out, streams.Err
	command.Env = append(os.Environ(), "KUBECONFIG="+dir.Kubeconfig())
	return exitCode(command.Run())
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
