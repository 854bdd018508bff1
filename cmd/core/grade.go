package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// previewGrade is what can be said of a connection by looking at it as it is stored.
type previewGrade struct {
	ID string `json:"id"`
	entry.Grade
	File string `json:"file"`
	Line int    `json:"line"`
}

func (p *preview) grade(e store.Entry, grade entry.Grade) {
	if e.Name.Kind == entry.Connection {
		p.grades = append(p.grades, previewGrade{e.Name.ID, grade, e.Origin.File, e.Origin.Line})
	}
}

func sortGrades(grades []previewGrade) {
	slices.SortFunc(grades, func(a, b previewGrade) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.ID, b.ID))
	})
}

func writeGrades(out io.Writer, grades []previewGrade) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CONNECTION\tGRADE\tREASON")
	for _, grade := range grades {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", printable(grade.ID), grade.State, printable(grade.Reason))
	}
	return table.Flush()
}

// writeReport is all of a check for programs. It holds no values.
func writeReport(out io.Writer, grades []previewGrade, problems []previewNotice) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Connections []previewGrade  `json:"connections"`
		Problems    []previewNotice `json:"problems"`
	}{append([]previewGrade{}, grades...), append([]previewNotice{}, problems...)})
}
