package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

func execCommand() cli.Command {
	return cli.Command{
		Name:    "exec",
		Summary: "Becomes, or supervises, a program that has the secrets in its environment.",
		Args:    "-- COMMAND [ARG ...]",
		Details: `It reads one generation of the volume, adds AIRFLOW_CONN_… and AIRFLOW_VAR_… to the
environment and replaces itself by COMMAND, whose process id, signals and exit code are
its own. 127 means that COMMAND was not found, 126 that it could not be run. With
--airflow-backend nothing that Airflow finds in the volume is in the environment. With
--python every Python can import leoflow_runtime, from the wheel beside the agent, and the
backend is that package's own, which goes on to no other place after a refusal.

With --on-rotate it stays, as the first process of a container should: it hands signals
to COMMAND alone (34, glibc's SIGRTMIN, does not reach it: the Go runtime keeps that one
to itself), collects orphans, and exits with COMMAND's exit code, or 128 and the
number of the signal that ended it. When a delivered value changed it restarts COMMAND
(TERM, then KILL after the grace period) or sends it a signal, once it handles that.`,
		Examples: `agent exec -- airflow tasks run my_dag my_task
# running Airflow processes look rotated entries up themselves
agent exec --airflow-backend -- airflow celery worker
# the same, and what is denied is asked nowhere else
agent exec --airflow-backend --python -- airflow tasks run my_dag my_task
# a program that only reads its environment starts again
agent exec --on-rotate=restart --splay=30s -- gunicorn app
# what is already in the environment wins over what was delivered
agent exec --keep-existing -- python task.py
# other programs' words for a connection: PGHOST, PGPASSWORD, and the rest
agent exec --as libpq=warehouse -- psql -c 'select 1'
# MART_HOST, MART_PASSWORD, and the rest, such as dbt reads by env_var()
agent exec --as fields=mart -- dbt run`,
		Bind: bindExec,
	}
}

type execFlags struct {
	dir            *string
	wait           *time.Duration
	keepExisting   *bool
	as             *shapes
	airflowBackend *bool
	python         *bool
	onRotate       *string
	debounce       *time.Duration
	splay          *time.Duration
	grace          *time.Duration
}

func bindExec(flags *flag.FlagSet) cli.Run {
	f := execFlags{
		dir:            bindDir(flags),
		wait:           flags.Duration("wait", 0, "wait this long for the first delivery"),
		keepExisting:   flags.Bool("keep-existing", false, "let a variable that is already set win over the delivered one"),
		as:             bindAs(flags),
		airflowBackend: flags.Bool("airflow-backend", false, "make Airflow look entries up in the volume instead of the environment, so that running processes see rotations and withdrawals"),
		python:         flags.Bool("python", false, "let Python import leoflow_runtime, and with --airflow-backend let Airflow use its backend"),
		onRotate:       flags.String("on-rotate", "", "stay, and at a rotation take this `action`: restart, or signal:NAME"),
		debounce:       flags.Duration("debounce", time.Second, "with --on-rotate, gather changes this long"),
		splay:          flags.Duration("splay", 0, "with --on-rotate, wait up to this much longer, at random"),
		grace:          flags.Duration("grace", 30*time.Second, "with --on-rotate=restart, kill a program that does not end within this time"),
	}
	return func(ctx context.Context, streams cli.Streams, args []string) error {
		if len(args) == 0 {
			return cli.Usagef("which program? 'agent exec -- COMMAND [ARG ...]'")
		}
		onRotate, err := envshim.ParseRotation(*f.onRotate)
		if err != nil {
			return cli.Usagef("--on-rotate: %w", err)
		}
		if err := f.misuse(); err != nil {
			return err
		}
		snapshot, err := readWithin(ctx, *f.dir, *f.wait, *f.as)
		if err == nil {
			err = snapshot.Missing(*f.as)
		}
		if err != nil {
			return err
		}
		beside, clouds := snapshot.Beside(os.Environ())
		f.warnOfIdentities(streams.Err, clouds, beside.Misplaced(*f.dir))
		f.warnOfClash(streams.Err, envshim.Differing(os.Environ(), beside.Entries))
		f.warnOfLimits(streams.Err, beside)
		if onRotate != (envshim.Rotation{}) {
			return f.supervise(streams.Err, args, onRotate, snapshot)
		}
		program, err := f.program(args, snapshot)
		if err != nil {
			return startFailure(err)
		}
		return startFailure(program.Exec())
	}
}

// misuse is what cannot be meant, and would be passed over without a word.
func (f execFlags) misuse() error {
	for _, row := range []struct {
		name  string
		given time.Duration
	}{{"wait", *f.wait}, {"debounce", *f.debounce}, {"splay", *f.splay}, {"grace", *f.grace}} {
		if row.given < 0 {
			return cli.Usagef("--%s=%s: want 0 or more", row.name, row.given)
		}
	}
	if *f.keepExisting && *f.airflowBackend {
		return cli.Usagef("--keep-existing does not go with --airflow-backend: Airflow asks the volume before its environment")
	}
	return nil
}

// program is what to start with what is delivered.
func (f execFlags) program(args []string, snapshot envshim.Snapshot) (envshim.Program, error) {
	path, err := envshim.Find(args[0], os.Getenv("PATH"))
	if err != nil {
		return envshim.Program{}, err
	}
	inherited := os.Environ()
	snapshot, _ = snapshot.Beside(inherited)
	if *f.airflowBackend {
		inherited = envshim.Without(inherited, snapshot.Entries)
	}
	carried, _ := snapshot.Environment(f.backend())
	environ, err := envshim.Merge(inherited, carried, *f.keepExisting)
	if err == nil && *f.airflowBackend {
		environ, err = envshim.AddBackend(environ, f.backend(), *f.dir)
	}
	if err == nil && *f.python {
		environ, err = f.withPython(environ)
	}
	return envshim.Program{Path: path, Args: args, Environ: environ}, err
}

func (f execFlags) backend() envshim.Backend {
	switch {
	case *f.airflowBackend && *f.python:
		return envshim.VolumeBackend
	case *f.airflowBackend:
		return envshim.FileBackend
	}
	return envshim.NoBackend
}

func (f execFlags) withPython(environ []string) ([]string, error) {
	wheel, err := envshim.PythonPackage()
	if err != nil {
		return nil, fmt.Errorf("--python: %w", err)
	}
	return envshim.AddPython(environ, wheel, *f.dir)
}

func (f execFlags) supervise(out io.Writer, args []string, onRotate envshim.Rotation, snapshot envshim.Snapshot) error {
	code, err := envshim.Supervisor{
		Dir:      *f.dir,
		As:       *f.as,
		Build:    func(snapshot envshim.Snapshot) (envshim.Program, error) { return f.program(args, snapshot) },
		OnRotate: onRotate,
		Debounce: *f.debounce,
		Splay:    *f.splay,
		Grace:    *f.grace,
		Tell:     func(line string) { _, _ = fmt.Fprintln(out, "agent: "+line) },
	}.Run(snapshot)
	if err != nil {
		return startFailure(err)
	}
	return &cli.ExitError{Code: code}
}

func (f execFlags) warnOfClash(out io.Writer, names []string) {
	if len(names) == 0 {
		return
	}
	for i, name := range names {
		names[i] = envshim.OnOneLine(name)
	}
	verdict := "the delivered value replaces it (--keep-existing reverses that)"
	switch {
	case *f.airflowBackend:
		verdict = "Airflow finds the delivered value in the volume, and it is taken out of the environment"
	case *f.keepExisting:
		verdict = "the delivered value is not used (--keep-existing)"
	}
	_, _ = fmt.Fprintf(out, "agent: warning: already set to something else: %s; %s\n", strings.Join(names, ", "), verdict)
}

// warnOfIdentities tells which of the pod's identities are not used, or cannot be.
func (execFlags) warnOfIdentities(out io.Writer, set, misplaced []string) {
	if len(set) > 0 {
		_, _ = fmt.Fprintf(out, "agent: warning: the environment has variables of its own for %s, so the pod's identity there is not taken from the volume; unset them to use it\n", strings.Join(set, " and "))
	}
	if len(misplaced) > 0 {
		_, _ = fmt.Fprintf(out, "agent: warning: the configuration for %s names files in %s: mount the volume there\n", strings.Join(misplaced, " and "), envshim.DefaultDir)
	}
}

// warnOfLimits tells what a program would look for in vain, and which setting of Airflow
// is not in force.
func (f execFlags) warnOfLimits(out io.Writer, snapshot envshim.Snapshot) {
	_, left := snapshot.Environment(f.backend())
	for _, entry := range left {
		_, _ = fmt.Fprintf(out, "agent: warning: %s %q is too long for an environment variable and is left out: read it from the volume, or use --airflow-backend\n", entry.Kind, entry.ID)
	}
	if !*f.airflowBackend {
		return
	}
	if path, options := envshim.HiddenBackends(os.Environ(), f.backend(), *f.dir); len(options) > 0 {
		_, _ = fmt.Fprintf(out, "agent: warning: %s sets %s, and --airflow-backend goes before it: take it out there, or do without --airflow-backend\n", path, strings.Join(options, " and "))
	}
}

func startFailure(err error) error {
	var start *envshim.StartError
	if errors.As(err, &start) {
		return &cli.ExitError{Code: start.ExitCode, Err: err}
	}
	return err
}
