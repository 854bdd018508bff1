package main

import (
	_ "embed"
	"path"
	"strings"
)

// rowsFile is the table of docs/airflow-differences.md, as patterns.
//
//go:embed testdata/differences.tsv
var rowsFile string

// row is a difference that is meant, and where it may stand.
type row struct{ code, version, way, entry, field, got, want string }

// rows are those of the file. "*" is anything.
func rows() []row {
	var all []row
	for line := range strings.Lines(rowsFile) {
		parts := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(parts) == 7 && !strings.HasPrefix(line, "#") {
			all = append(all, row{parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]})
		}
	}
	return all
}

func (r row) covers(c cell, d difference) bool {
	for _, pair := range [][2]string{
		{r.version, c.version}, {r.way, c.way}, {r.entry, d.entry}, {r.field, d.field}, {r.got, d.got}, {r.want, d.want},
	} {
		// A slash is no more than a character here.
		flat := strings.ReplaceAll(pair[1], "/", "|")
		if matched, err := path.Match(strings.ReplaceAll(pair[0], "/", "|"), flat); err != nil || !matched {
			return false
		}
	}
	return true
}

// explain is the code of the row that covers a difference, or "".
func explain(c cell, d difference) string {
	for _, each := range rows() {
		if each.covers(c, d) {
			return each.code
		}
	}
	return ""
}

// unused are the rows that explained nothing, where every version was asked.
func (r *report) unused(everything bool) []string {
	if !everything {
		return nil
	}
	var codes []string
	for _, each := range rows() {
		if r.used[each.code] == 0 {
			codes = append(codes, each.code)
		}
	}
	return codes
}
