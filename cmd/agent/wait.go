package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
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
		Summary: "Waits until the volume holds a whole generation, or until one rotates.",
		Details: `It exits with 0 once a generation can be read, and with 1 when none came within the
timeout or the volume cannot be read.

With --rotation it then goes on waiting, without a limit, until a delivered value changes,
comes or is withdrawn, and exits with --exit-code: a sidecar whose exit restarts the pod's
containers in place. --env-file names what 'agent env --format kubelet' wrote for them, so
that no change is missed before the sidecar runs, or while it is restarted. Values that
could not be written there again are told, and restart nothing.`,
		Examples: `agent wait --timeout 30s && python task.py
# the command of a sidecar with restartPolicyRules for exit code 42
agent wait --rotation --exit-code 42 --env-file /env/leoflow`,
		Bind: bindWait,
	}
}

type waitFlags struct {
	dir       *string
	timeout   *time.Duration
	rotation  *bool
	exitCode  *uint
	envFile   *string
	omitEmpty *bool
	as        *shapes
	debounce  *time.Duration
	splay     *time.Duration
}

func bindWait(flags *flag.FlagSet) cli.Run {
	f := waitFlags{
		dir:       bindDir(flags),
		timeout:   flags.Duration("timeout", time.Minute, "how long to wait for a first generation"),
		rotation:  flags.Bool("rotation", false, "wait on until a delivered value changes, comes or is withdrawn"),
		exitCode:  flags.Uint("exit-code", 0, "exit with this `code` at a rotation"),
		envFile:   flags.String("env-file", "", "with --rotation, compare with this `file` of 'agent env --format kubelet' rather than with the start"),
		omitEmpty: bindOmitEmpty(flags),
		as:        bindAs(flags),
		debounce:  flags.Duration("debounce", time.Second, "with --rotation, gather changes this long"),
		splay:     flags.Duration("splay", 0, "with --rotation, wait up to this much longer, at random"),
	}
	return func(ctx context.Context, streams cli.Streams, _ []string) error {
		if err := f.misuse(); err != nil {
			return err
		}
		snapshot, err := readWithin(ctx, *f.dir, *f.timeout, *f.as)
		if err != nil {
			return err
		}
		if *f.rotation {
			return f.awaitRotation(ctx, streams)
		}
		_, err = fmt.Fprintf(streams.Out, "generation %d with %d entries is there\n",
			snapshot.Manifest.Generation, len(snapshot.Entries))
		return err
	}
}

// misuse is what cannot be meant, and would be passed over without a word.
func (f waitFlags) misuse() error {
	switch {
	case *f.exitCode > 255:
		return cli.Usagef("--exit-code=%d: want 0 to 255", *f.exitCode)
	case !*f.rotation && (*f.exitCode != 0 || *f.envFile != ""):
		return cli.Usagef("--exit-code and --env-file go with --rotation")
	case *f.debounce < 0 || *f.splay < 0:
		return cli.Usagef("--debounce=%s --splay=%s: want 0 or more", *f.debounce, *f.splay)
	}
	return nil
}

func (f waitFlags) awaitRotation(ctx context.Context, streams cli.Streams) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	debounce := *f.debounce
	if *f.splay > 0 {
		debounce += rand.N(*f.splay)
	}
	generation, err := envshim.Rotated{
		Dir: *f.dir, As: *f.as, EnvFile: *f.envFile, OmitEmpty: *f.omitEmpty, Debounce: debounce,
		Tell: func(line string) { _, _ = fmt.Fprintln(streams.Err, "agent: "+line) },
	}.Wait(ctx)
	switch {
	case ctx.Err() != nil:
		return &cli.ExitError{Code: exitTerminated}
	case err != nil:
		return err
	}
	_, _ = fmt.Fprintf(streams.Out, "generation %d: a delivered value changed\n", generation)
	return &cli.ExitError{Code: int(*f.exitCode)}
}

// readWithin reads the volume, and waits for its first generation if it must. SIGTERM ends
// the wait with a shell's code for it: a first process, which no signal ends by itself,
// would otherwise exit with the Go runtime's, 2.
func readWithin(ctx context.Context, dir string, timeout time.Duration, as shapes) (envshim.Snapshot, error) {
	if timeout <= 0 {
		return envshim.Read(dir, as...)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	waiting, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	snapshot, err := envshim.Wait(waiting, dir, as...)
	if waiting.Err() != nil && ctx.Err() == nil {
		return snapshot, &cli.ExitError{Code: exitTerminated, Err: errors.New("SIGTERM came before anything was delivered")}
	}
	return snapshot, err
}
