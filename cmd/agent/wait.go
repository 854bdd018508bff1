package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

// exitTerminated is what a shell makes of SIGTERM.
const exitTerminated = 128 + int(unix.SIGTERM)

func waitCommand() cli.Command {
	return cli.Command{
		Name:    "wait",
		Summary: "Waits until the volume holds a whole generation.",
		Details: `It exits with 0 once a generation can be read, and with 1 when none came within the
timeout or the volume cannot be read.`,
		Examples: `agent wait --timeout 30s && python task.py`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			dir := bindDir(flags)
			timeout := flags.Duration("timeout", time.Minute, "how long to wait")
			return func(ctx context.Context, streams cli.Streams, _ []string) error {
				snapshot, err := readWithin(ctx, *dir, *timeout)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(streams.Out, "generation %d with %d entries is there\n",
					snapshot.Manifest.Generation, len(snapshot.Entries))
				return err
			}
		},
	}
}

// readWithin reads the volume, and waits for its first generation if it must. SIGTERM ends
// the wait with a shell's code for it: a first process, which no signal ends by itself,
// would otherwise exit with the Go runtime's, 2.
func readWithin(ctx context.Context, dir string, timeout time.Duration) (envshim.Snapshot, error) {
	if timeout <= 0 {
		return envshim.Read(dir)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	waiting, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	snapshot, err := envshim.Wait(waiting, dir)
	if waiting.Err() != nil && ctx.Err() == nil {
		return snapshot, &cli.ExitError{Code: exitTerminated, Err: errors.New("SIGTERM came before anything was delivered")}
	}
	return snapshot, err
}
