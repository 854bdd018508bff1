package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

func checkCommand() cli.Command {
	return cli.Command{
		Name:    "check",
		Summary: "Tells what is in the volume and whether a program could be started with it.",
		Args:    "[-- COMMAND [ARG ...]]",
		Details: `It shows every entry that was asked for with its state, since when and why it is held, what
can be said of a connection's credential (valid, decided at runtime, or broken), the driver's
notices, names that clash, and sizes against what the kernel accepts; never a value. It exits with 1
when a program could not be started, or an entry was refused; with --why, where the id was not
delivered.`,
		Examples: `agent check
agent check --why warehouse
agent check --json | jq '.problems'`,
		Bind: func(flags *flag.FlagSet) cli.Run {
			dir := bindDir(flags)
			asJSON := flags.Bool("json", false, "print the report as JSON")
			id := flags.String("why", "", "tell of the `id` alone, or of that which became the variable of this name: what was delivered, when, by which rule of which source, and whether it is held")
			return func(_ context.Context, streams cli.Streams, args []string) error {
				report := envshim.Probe(*dir, envshim.Program{Args: args, Environ: os.Environ()})
				if *id != "" {
					return why(streams.Out, report, *id)
				}
				printReport := printTable
				if *asJSON {
					printReport = printJSON
				}
				if err := printReport(streams.Out, report); err != nil {
					return err
				}
				if len(report.Problems) > 0 {
					return &cli.ExitError{Code: cli.Failure}
				}
				return nil
			}
		},
	}
}

func printJSON(out io.Writer, report envshim.Report) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

func printTable(out io.Writer, report envshim.Report) error {
	var text strings.Builder
	if report.Generation > 0 {
		fmt.Fprintf(&text, "%s: generation %d, fetched %s\n\n", report.Dir, report.Generation, report.Fetched.Format(time.RFC3339))
	}
	width := len("VARIABLE")
	for _, entry := range report.Entries {
		width = max(width, len(title(entry)))
	}
	if len(report.Entries) > 0 {
		fmt.Fprintf(&text, "%-*s  %-9s  %7s\n", width, "VARIABLE", "STATE", "BYTES")
	}
	for _, entry := range report.Entries {
		fmt.Fprintf(&text, "%-*s  %-9s  %7d\n", width, title(entry), entry.State, entry.Size)
		if held := entry.Held; held != nil {
			fmt.Fprintf(&text, "    held since %s, as it was delivered before: %s\n", held.Since.Format(time.RFC3339), held.Why)
		}
		if grade := entry.Grade; grade != nil {
			fmt.Fprintf(&text, "    credential %s: %s\n", grade.State, grade.Reason)
		}
		for _, notice := range entry.Notices {
			fmt.Fprintf(&text, "    %s: %s\n", notice.Code, notice.Message)
		}
	}
	for _, one := range report.Identities {
		fmt.Fprintf(&text, "identity at %s: a token of %s for audience %s", one.Cloud, envshim.OnOneLine(one.Issuer), envshim.OnOneLine(one.Audience))
		if one.Subject != "" {
			fmt.Fprintf(&text, ", subject %s", envshim.OnOneLine(one.Subject))
		}
		if one.Expires != nil {
			fmt.Fprintf(&text, ", until %s", one.Expires.Format(time.RFC3339))
		}
		text.WriteString("\n")
	}
	for _, problem := range report.Problems {
		fmt.Fprintf(&text, "problem: %s\n", problem)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// title is the variable's name, or the entry's own where it has no variable.
func title(entry envshim.Finding) string {
	if entry.Env != "" {
		return envshim.OnOneLine(entry.Env)
	}
	return string(entry.Kind) + " " + envshim.OnOneLine(entry.ID)
}
