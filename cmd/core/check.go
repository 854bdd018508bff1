package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/deliver/render"
)

func checkCommand() cli.Command {
	return cli.Command{
		Name:    "check",
		Summary: "Validates export files and rules, and names the lines that are wrong.",
		Details: `It reads the files as core would, opens what is sealed, and decides on and renders
everything as the driver would. Every problem is one line that begins with the file
and the line. It exits with 1 if there is any. What is lost in reading, as Airflow loses it
without a word, is told and is no problem. Nothing is asked of a network: whether a
credential that is found at runtime is any good, only the task can tell.`,
		Examples: `core check --connections connections.json --variables variables.yaml --rules rules.yaml
# with sealed values
core check --connections sealed.json --seal-key-file seal.key
# what each connection will log in with
core check --connections connections.json --grades`,
		Bind: bindCheck,
	}
}

// checkFlags say what to check, and how much to print of it.
type checkFlags struct {
	files        fileFlags
	grades, json bool
}

func bindCheck(flags *flag.FlagSet) cli.Run {
	var raw checkFlags
	raw.files.bind(flags)
	flags.BoolVar(&raw.grades, "grades", false, "print a table of all connections: valid, runtime (decided when a task runs) or broken, and why")
	flags.BoolVar(&raw.json, "json", false, "print the grades and the problems as JSON, without values")
	return func(_ context.Context, streams cli.Streams, _ []string) error {
		return check(streams.Out, raw)
	}
}

func check(out io.Writer, raw checkFlags) error {
	files, err := raw.files.read()
	var exit *cli.ExitError
	switch {
	case errors.As(err, &exit):
		return err
	case err != nil:
		_, _ = fmt.Fprintln(out, err) // one problem a line, as joined
		return &cli.ExitError{Code: cli.Failure}
	}
	shown := newPreview(files, render.URI, nil)
	problems := slices.DeleteFunc(slices.Clone(shown.notices), func(n previewNotice) bool { return !n.isProblem() })
	if err := printCheck(out, raw, shown, problems); err != nil {
		return err
	}
	if err := printLosses(out, raw, shown); err != nil {
		return err
	}
	if len(problems) > 0 {
		return &cli.ExitError{Code: cli.Failure}
	}
	if raw.json {
		return nil
	}
	_, err = fmt.Fprintf(out, "ok: %d entries, %d rules\n", len(shown.origins), len(files.Current().Rules.Rules))
	return err
}

// printLosses tells what is served otherwise than it is written. That is Airflow's own way
// and no problem of the file, so the check may pass all the same.
func printLosses(out io.Writer, raw checkFlags, shown preview) error {
	if raw.json {
		return nil
	}
	for _, notice := range shown.notices {
		if notice.Code != codeLoss {
			continue
		}
		if _, err := fmt.Fprintf(out, "%s (%s)\n", notice, codeLoss); err != nil {
			return err
		}
	}
	return nil
}

func printCheck(out io.Writer, raw checkFlags, shown preview, problems []previewNotice) error {
	sortGrades(shown.grades)
	if raw.json {
		return writeReport(out, shown.grades, problems)
	}
	if raw.grades {
		if err := writeGrades(out, shown.grades); err != nil {
			return err
		}
	}
	for _, problem := range problems {
		if _, err := fmt.Fprintln(out, problem); err != nil {
			return err
		}
	}
	return nil
}
