package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/delivery/render"
)

func checkCommand() cli.Command {
	return cli.Command{
		Name:    "check",
		Summary: "Validates export files and rules, and names the lines that are wrong.",
		Details: `It reads the files as core would, opens what is sealed, and decides on and renders
everything as the driver would. Every problem is one line that begins with the file
and the line. It exits with 1 if there is any.`,
		Examples: `core check --connections connections.json --variables variables.yaml --rules rules.yaml
# with sealed values
core check --connections sealed.json --seal-key-file seal.key`,
		Bind: bindCheck,
	}
}

func bindCheck(flags *flag.FlagSet) cli.Run {
	var files fileFlags
	files.bind(flags)
	return func(ctx context.Context, streams cli.Streams, _ []string) error {
		return check(ctx, streams.Out, files)
	}
}

func check(ctx context.Context, out io.Writer, raw fileFlags) error {
	files, err := raw.read()
	var exit *cli.ExitError
	switch {
	case errors.As(err, &exit):
		return err
	case err != nil:
		_, _ = fmt.Fprintln(out, err) // one problem a line, as joined
		return &cli.ExitError{Code: cli.Failure}
	}
	problems := 0
	shown := newPreview(ctx, files, render.URI, nil)
	for _, notice := range shown.notices {
		if notice.isProblem() {
			problems++
			_, _ = fmt.Fprintln(out, notice)
		}
	}
	if problems > 0 {
		return &cli.ExitError{Code: cli.Failure}
	}
	_, err = fmt.Fprintf(out, "ok: %d entries, %d rules\n", len(shown.entries), len(files.Current().Rules.Rules))
	return err
}
