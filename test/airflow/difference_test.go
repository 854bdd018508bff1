package airflow

import (
	_ "embed"
	"encoding/json"
	"path"
	"reflect"
	"regexp"
	"strings"
)

// rowsFile is the table of docs/airflow-differences.md, as patterns.
//
//go:embed testdata/differences.tsv
var rowsFile string

// row is a difference that is meant, and where it may stand. Where got is the name of a relation,
// what was found has to stand in it to what was wanted.
type row struct{ code, version, way, entry, field, got, want string }

// relations are those between extras.
var relations = map[string]func(got, want map[string]any) bool{
	// Each legacy name, such as extra__wasb__sas_token, is delivered as the short one or beside it.
	"@names": func(got, want map[string]any) bool { return reflect.DeepEqual(shortNames(got), shortNames(want)) },
	// A value that is JSON is delivered as the text that stood in the URI.
	"@text": func(got, want map[string]any) bool {
		return reflect.DeepEqual(decoded(shortNames(got)), decoded(shortNames(want)))
	},
}

var legacyName = regexp.MustCompile(`^extra__[a-z_]+?__`)

// shortNames has each field once, as the hooks read it: a short name goes first.
func shortNames(extra map[string]any) map[string]any {
	short := map[string]any{}
	for name, value := range extra {
		if !legacyName.MatchString(name) {
			short[name] = value
		}
	}
	for name, value := range extra {
		if name := legacyName.ReplaceAllString(name, ""); short[name] == nil || short[name] == "" {
			short[name] = value
		}
	}
	return short
}

// decoded has each text that is JSON as what it says.
func decoded(extra map[string]any) map[string]any {
	all := map[string]any{}
	for name, value := range extra {
		if text, isText := value.(string); isText && json.Valid([]byte(text)) {
			_ = json.Unmarshal([]byte(text), &value)
		}
		all[name] = value
	}
	return all
}

func (r row) relates(d difference) bool {
	var got, want map[string]any
	return json.Unmarshal([]byte(d.got), &got) == nil && json.Unmarshal([]byte(d.want), &want) == nil && relations[r.got](got, want)
}

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
	if relations[r.got] != nil {
		if !r.relates(d) {
			return false
		}
		r.got = "*"
	}
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
