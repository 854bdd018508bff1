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
		Summary: "Becomes a program that has the secrets in its environment.",
		Args:    "-- COMMAND [ARG ...]",
		Details: `It reads one generation of the volume, adds AIRFLOW_CONN_… and AIRFLOW_VAR_… to the
environment and replaces itself by COMMAND, whose process id, signals and exit code are
its own. 127 means that COMMAND was not found, 126 that it could not be run.`,
		Examples: `agent exec -- airflow tasks run my_dag my_task
# what is already in the environment wins over what was delivered
agent exec --keep-existing -- python task.py`,
		Bind: bindExec,
	}
}

type execFlags struct {
	dir          *string
	wait         *time.Duration
	keepExisting *bool
}

func bindExec(flags *flag.FlagSet) cli.Run {
	options := execFlags{
		dir:          bindDir(flags),
		wait:         flags.Duration("wait", 0, "wait this long for the first delivery"),
		keepExisting: flags.Bool("keep-existing", false, "let a variable that is already set win over the delivered one"),
	}
	return func(ctx context.Context, streams cli.Streams, args []string) error {
		if len(args) == 0 {
			return cli.Usagef("which program? 'agent exec -- COMMAND [ARG ...]'")
		}
		return options.exec(ctx, streams.Err, args)
	}
}

func (f execFlags) exec(ctx context.Context, warnings io.Writer, args []string) error {
	envshim.ForbidCoreDump()
	snapshot, err := readWithin(ctx, *f.dir, *f.wait)
	if err != nil {
		return err
	}
	inherited := os.Environ()
	f.warnOfClash(warnings, envshim.Differing(inherited, snapshot.Entries))
	environ, err := envshim.Merge(inherited, snapshot.Entries, *f.keepExisting)
	if err != nil {
		return err
	}
	path, err := envshim.Find(args[0], os.Getenv("PATH"))
	if err != nil {
		return startFailure(err)
	}
	return startFailure(envshim.Program{Path: path, Args: args, Environ: environ}.Exec())
}

func (f execFlags) warnOfClash(out io.Writer, names []string) {
	if len(names) == 0 {
		return
	}
	verdict := "the delivered value replaces it (--keep-existing reverses that)"
	if *f.keepExisting {
		verdict = "the delivered value is not used (--keep-existing)"
	}
	_, _ = fmt.Fprintf(out, "agent: warning: already set to something else: %s; %s\n", strings.Join(names, ", "), verdict)
}

func startFailure(err error) error {
	var start *envshim.StartError
	if errors.As(err, &start) {
		return &cli.ExitError{Code: start.ExitCode, Err: err}
	}
	return err
}
