package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

func (p preview) writeJSON(out io.Writer) error {
	document := struct {
		Connections map[string]string `json:"connections"`
		Variables   map[string]string `json:"variables"`
		Notices     []previewNotice   `json:"notices"`
	}{map[string]string{}, map[string]string{}, append([]previewNotice{}, p.notices...)}
	for _, e := range p.entries {
		if e.Kind == entry.Connection {
			document.Connections[e.ID] = e.value.Reveal()
		} else {
			document.Variables[e.ID] = e.value.Reveal()
		}
	}
	return writeIndented(out, document)
}

func writeIndented(out io.Writer, document any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func (p preview) writeTable(out io.Writer, showValues bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ENV\tFILE\tVALUE")
	for _, e := range p.entries {
		shown := e.value.String()
		if showValues {
			shown = printable(e.value.Reveal())
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", e.Env, e.File, shown)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, notice := range p.notices {
		if _, err := fmt.Fprintf(out, "%s: %s\n", notice.Code, notice); err != nil {
			return err
		}
	}
	return nil
}

// printable is text as it is, or quoted where it would break the table or the terminal,
// or look like quoted.
func printable(text string) string {
	odd := func(char rune) bool { return !strconv.IsPrint(char) || char == unicode.ReplacementChar }
	if strings.HasPrefix(text, `"`) || strings.ContainsFunc(text, odd) {
		return strconv.Quote(text)
	}
	return text
}

func writeGrades(out *bytes.Buffer, grades []previewGrade) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CONNECTION\tGRADE\tREASON")
	for _, grade := range grades {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", printable(grade.ID), grade.State, printable(grade.Reason))
	}
	_ = table.Flush() // a buffer takes it
}

// writeReport is all of a check for programs. It holds no values.
func writeReport(out io.Writer, grades []previewGrade, problems []previewNotice) error {
	return writeIndented(out, struct {
		Connections []previewGrade  `json:"connections"`
		Problems    []previewNotice `json:"problems"`
	}{append([]previewGrade{}, grades...), append([]previewNotice{}, problems...)})
}
