package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/pkg/envshim"
)

// why tells of the entries by one id, or by the name of the variable that they become, what was delivered,
// when, and whether it still is what the source has. It fails where none was delivered.
func why(out io.Writer, report envshim.Report, id string) error {
	if report.Generation == 0 {
		return &cli.ExitError{Code: cli.Failure, Err: fmt.Errorf("%s", strings.Join(report.Problems, "\n"))}
	}
	var text strings.Builder
	delivered, found := false, false
	for _, entry := range report.Entries {
		if entry.ID == id || entry.Env == id {
			found = true
			delivered = delivered || entry.IsDelivered()
			explain(&text, report, entry)
		}
	}
	if !found {
		fmt.Fprintf(&text, "%s: not asked for: the volume's attributes do not name it\n", envshim.OnOneLine(id))
	}
	if _, err := io.WriteString(out, text.String()); err != nil {
		return err
	}
	if !delivered {
		return &cli.ExitError{Code: cli.Failure}
	}
	return nil
}

func explain(text *strings.Builder, report envshim.Report, entry envshim.Finding) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(text, "  %-9s  %s\n", what, envshim.OnOneLine(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(text, "%s %s: %s\n", entry.Kind, envshim.OnOneLine(entry.ID), entry.State)
	for _, row := range []struct{ what, value string }{
		{"source", entry.Source}, {"rule", entry.Rule}, {"version", entry.Version}, {"variable", entry.Env}, {"file", entry.File},
	} {
		if row.value != "" {
			line(row.what, "%s", row.value)
		}
	}
	line("as of", "generation %d, fetched %s", report.Generation, report.Fetched.Format(time.RFC3339))
	switch {
	case entry.Held != nil:
		line("held", "since %s, as it was delivered before: %s", entry.Held.Since.Format(time.RFC3339), entry.Held.Why)
	case entry.IsDelivered():
		line("held", "no")
	}
	if entry.Grade != nil {
		line("grade", "%s: %s", entry.Grade.State, entry.Grade.Reason)
	}
	for _, notice := range entry.Notices {
		line("because", "%s: %s", notice.Code, notice.Message)
	}
}
