package airflow

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// cell is one place of the matrix: a version, a way of delivery and of looking up, and
// what was asked there.
type cell struct {
	report       *report
	version, way string
	aspect       string // one of aspects
}

// report gathers what was found.
type report struct {
	counts      map[cell]int
	differences map[cell][]difference
	notes       map[cell]string
	used        map[string]int
	explained   []string
	extra       []string
	fresh       map[string][]string // by version: the ways, and how soon they saw what changed
	failures    int
	// isWordy has every explained difference printed.
	isWordy bool
}

// difference is a field that has another value than Airflow's own import gives it.
type difference struct {
	entry, field, got, want string
}

func newReport() *report {
	return &report{counts: map[cell]int{}, differences: map[cell][]difference{}, notes: map[cell]string{}, used: map[string]int{}, fresh: map[string][]string{}}
}

func (r *report) cell(version, way, aspect string) cell { return cell{r, version, way, aspect} }

func (r *report) count(c cell) { r.counts[c]++ }

// differs takes a difference down: as explained where a row of the documents says why, else as wrong.
func (c cell) differs(entry, field, got, want string) {
	d := difference{entry, field, got, want}
	if code := explain(c, d); code != "" {
		c.report.used[code]++
		c.report.explained = append(c.report.explained, fmt.Sprintf("%s: %s %s: %s %s: got %.300s, want %.300s", code, c.version, c.way, entry, field, got, want))
		return
	}
	c.report.differences[c] = append(c.report.differences[c], d)
}

// note stands in a cell that cannot be asked.
func (c cell) note(text string) { c.report.notes[c] = text }

// fail takes down what is no cell of the matrix.
func (r *report) fail(format string, args ...any) {
	r.failures++
	r.extra = append(r.extra, "FAILED: "+fmt.Sprintf(format, args...))
}

func (r *report) remark(format string, args ...any) {
	r.extra = append(r.extra, fmt.Sprintf(format, args...))
}

// seen takes down when a running process was first told nothing old any more. The DAG processor
// looks when it next parses the file, the others when they are asked.
func (r *report) seen(version, way string, after time.Duration) {
	r.fresh[version] = append(r.fresh[version], fmt.Sprintf("%s %.1f", way, after.Seconds()))
}

var aspects = []string{"values", "rotation", "revocation", "refused", "withdrawn", "unreadable"}

// print writes the matrix, and below it what is wrong. It is an error where anything is;
// with everything, also where a documented row explains nothing.
func (r *report) print(out io.Writer, everything bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "AIRFLOW\tWAY\t"+strings.ToUpper(strings.Join(aspects, "\t")))
	for _, row := range r.rows() {
		_, _ = fmt.Fprintf(table, "%s\t%s", row.version, row.way)
		for _, aspect := range aspects {
			_, _ = fmt.Fprintf(table, "\t%s", r.text(r.cell(row.version, row.way, aspect)))
		}
		_, _ = fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	r.printCells(out)
	for _, line := range r.extra {
		_, _ = fmt.Fprintln(out, line)
	}
	for _, code := range slices.Sorted(maps.Keys(r.used)) {
		_, _ = fmt.Fprintf(out, "explained: %s, %d fields\n", code, r.used[code])
	}
	if r.isWordy {
		slices.Sort(r.explained)
		_, _ = fmt.Fprintln(out, strings.Join(r.explained, "\n"))
	}
	wrong := r.printDifferences(out)
	unused := r.unused(everything)
	for _, code := range unused {
		_, _ = fmt.Fprintf(out, "explains nothing any more: %s\n", code)
	}
	if wrong+r.failures+len(unused) > 0 {
		return errors.New("fault was found with what is delivered")
	}
	return nil
}

// printCells sums the matrix up.
func (r *report) printCells(out io.Writer) {
	right := 0
	for c := range r.counts {
		if len(r.differences[c]) == 0 {
			right++
		}
	}
	_, _ = fmt.Fprintf(out, "cells: %d of %d right; %d more see what changed at a restart, since nothing changes the environment of a running process\n",
		right, len(r.counts), len(r.notes))
	for _, version := range slices.Sorted(maps.Keys(r.fresh)) {
		_, _ = fmt.Fprintf(out, "Airflow %s: seconds until running processes saw what changed: %s\n", version, strings.Join(r.fresh[version], ", "))
	}
}

func (r *report) rows() []cell {
	rows := map[cell]bool{}
	for _, cells := range [][]cell{slices.Collect(maps.Keys(r.counts)), slices.Collect(maps.Keys(r.notes))} {
		for _, each := range cells {
			rows[r.cell(each.version, each.way, "")] = true
		}
	}
	return slices.SortedFunc(maps.Keys(rows), func(a, b cell) int {
		return cmp.Or(cmp.Compare(len(a.version), len(b.version)), cmp.Compare(a.version, b.version), cmp.Compare(a.way, b.way))
	})
}

func (r *report) text(c cell) string {
	if note := r.notes[c]; note != "" && len(r.differences[c]) == 0 {
		return note
	}
	if r.counts[c] == 0 {
		return "-"
	}
	entries := map[string]bool{}
	for _, each := range r.differences[c] {
		entries[each.entry] = true
	}
	return fmt.Sprintf("%d of %d", r.counts[c]-len(entries), r.counts[c])
}

func (r *report) printDifferences(out io.Writer) int {
	grouped := map[difference][]string{}
	for c, list := range r.differences {
		for _, each := range list {
			grouped[each] = append(grouped[each], c.version+" "+c.way+" "+c.aspect)
		}
	}
	byEntry := func(a, b difference) int { return cmp.Or(cmp.Compare(a.entry, b.entry), cmp.Compare(a.field, b.field)) }
	for _, each := range slices.SortedFunc(maps.Keys(grouped), byEntry) {
		_, _ = fmt.Fprintf(out, "WRONG: %s %s: got %.300s, want %.300s\n    in %s\n", each.entry, each.field, each.got, each.want,
			strings.Join(slices.Sorted(slices.Values(grouped[each])), "; "))
	}
	return len(grouped)
}
