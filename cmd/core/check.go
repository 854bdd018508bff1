package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/fetch/render"
)

func checkCommand() cli.Command {
	return cli.Command{
		Name:    "check",
		Summary: "Validates export files and rules, and names the lines that are wrong.",
		Details: `It reads the files as core would with --memory, opens what is sealed, and decides on and renders
everything as the driver would. Every problem is one line that begins with the file
and the line. It exits with 1 if there is any. What is lost in reading, as Airflow loses it
without a word ("#" in a URI, keys given twice or beside __extra__, bytes that are not UTF-8), is
told, and is a problem with --strict. Nothing but Airflow's database is asked of a network: whether a
credential that is found at runtime is any good, only the task can tell.`,
		Examples: `core check --connections connections.json --variables variables.yaml --rules rules.yaml
# with sealed values
core check --connections sealed.json --seal-key-file seal.key
# before an export is merged: what is lost on the way in fails it
core check --connections connections.json --strict
# what each connection will log in with
core check --connections connections.json --grades`,
		Bind: bindCheck,
	}
}

// checkFlags say what to check, and how much to print of it.
type checkFlags struct {
	files                fileFlags
	grades, json, strict bool
}

func bindCheck(flags *flag.FlagSet) cli.Run {
	var raw checkFlags
	raw.files.bind(flags)
	flags.BoolVar(&raw.grades, "grades", false, "print a table of all connections: valid, runtime (decided when a task runs) or broken, and why")
	flags.BoolVar(&raw.strict, "strict", false, "take what is lost in reading for a problem, too")
	flags.BoolVar(&raw.json, "json", false, "print the grades and the problems as JSON, without values")
	return func(ctx context.Context, streams cli.Streams, _ []string) error {
		return check(ctx, streams.Out, raw)
	}
}

func check(ctx context.Context, out io.Writer, raw checkFlags) error {
	files, err := raw.files.read(ctx)
	var exit *cli.ExitError
	switch {
	case errors.As(err, &exit):
		return err
	case err != nil:
		_, _ = fmt.Fprintln(out, err) // one problem a line, as joined
		return &cli.ExitError{Code: cli.Failure}
	}
	shown := newPreview(files, render.URI, nil)
	problems := slices.DeleteFunc(slices.Clone(shown.notices), func(n previewNotice) bool {
		return !n.isProblem() && (!raw.strict || n.Code != codeLoss)
	})
	sortGrades(shown.grades)
	if raw.json {
		err = writeReport(out, shown.grades, problems)
	} else {
		_, err = out.Write(checked(files, shown, problems, raw.grades))
	}
	if err == nil && len(problems) > 0 {
		return &cli.ExitError{Code: cli.Failure}
	}
	return err
}

// checked is what a check tells people. What is served otherwise than it is written is told
// too; that is Airflow's own way and no problem of the file, so the check may pass all the
// same.
func checked(files *store.Store, shown preview, problems []previewNotice, grades bool) []byte {
	var text bytes.Buffer
	if grades {
		writeGrades(&text, shown.grades)
	}
	for _, problem := range problems {
		fmt.Fprintln(&text, problem)
	}
	for _, notice := range shown.notices {
		if (notice.Code == codeLoss || notice.Code == codeOldSeal) && !slices.Contains(problems, notice) {
			fmt.Fprintf(&text, "%s (%s)\n", notice, notice.Code)
		}
	}
	if len(problems) == 0 {
		fmt.Fprintf(&text, "ok: %d entries, %d rules\n", shown.count, files.Current().Rules.Len())
	}
	return text.Bytes()
}
