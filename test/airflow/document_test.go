// Package airflow lets real versions of Airflow judge what the real core, driver and
// agent deliver. Truth is what a version's own import makes of a file; against it stands
// what the same version makes of our delivery of the same file, field by field. It needs
// root, a Python from 3.11 to 3.12, and a package index.
package airflow

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryDifferenceIsDocumented holds the rows that explain a difference against the
// table of the document, both ways.
func TestEveryDifferenceIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/airflow-differences.md")
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented[match[1]] = true
	}
	explained := map[string]bool{}
	for _, each := range rows() {
		explained[each.code] = true
	}
	assert.NotEmpty(t, explained)
	assert.Equal(t, explained, documented)
}

func TestARowCoversWhatItNames(t *testing.T) {
	at := newReport().cell("2.10.5", "files; models", "values")
	each := row{"x", "2.*", "*", "connection port_*", "port", "null", "*"}
	assert.True(t, each.covers(at, difference{"connection port_zero", "port", "null", "0"}))
	assert.False(t, each.covers(at, difference{"connection port_zero", "host", "null", "0"}))
	assert.False(t, each.covers(at, difference{"connection host_url", "port", "null", "0"}))
	assert.False(t, each.covers(newReport().cell("3.3.2", "files; models", "values"), difference{"connection port_zero", "port", "null", "0"}))
	names := row{"x", "*", "*", "*", "extra", "@names", "*"}
	assert.True(t, names.covers(at, difference{"connection c", "extra", `{"a":1,"extra__x__a":1,"b":2}`, `{"extra__x__a":1,"b":2}`}))
	assert.False(t, names.covers(at, difference{"connection c", "extra", `{"a":2,"extra__x__a":1,"b":2}`, `{"extra__x__a":1,"b":2}`}), "another value")
	assert.False(t, names.covers(at, difference{"connection c", "extra", `{"a":1}`, `{"extra__x__a":1,"b":2}`}), "a field less")
	text := row{"x", "*", "*", "*", "extra", "@text", "*"}
	assert.True(t, text.covers(at, difference{"connection c", "extra", `{"a":"5"}`, `{"a":5}`}))
	assert.False(t, text.covers(at, difference{"connection c", "extra", `{"a":"6"}`, `{"a":5}`}))
	slashes := row{"x", "*", "*", "*", "host", `"a/b*"`, "*"}
	assert.True(t, slashes.covers(at, difference{"connection host_slash", "host", `"a/b/c"`, ""}))
}

// TestRowsAreWellFormed finds a pattern that can match nothing, which would go unnoticed.
func TestRowsAreWellFormed(t *testing.T) {
	for _, each := range rows() {
		for _, pattern := range []string{each.version, each.way, each.entry, each.field, each.got, each.want} {
			_, err := path.Match(strings.ReplaceAll(pattern, "/", "|"), "x")
			assert.NoError(t, err, pattern)
		}
	}
	odd := row{"x", "*", "*", `connection odd[^_\-]*`, "", "there", "absent*"}
	assert.True(t, odd.covers(newReport().cell("3.3.2", "a way", "values"), difference{"connection odd/../../up", "", "there", "absent (x)"}))
}

// TestADifferenceIsFound lets a truth be missed in each way that it can be.
func TestADifferenceIsFound(t *testing.T) {
	known := truth{
		Models:    map[string]found{"same": {"host": `"h"`}, "other": {"host": `"h"`}, "gone": {"host": `"h"`}, "unasked": {"host": `"h"`}, "refused": {"missing": "x"}},
		SDK:       map[string]found{"same": {"host": `"h"`}, "other": {"host": `"h"`}, "gone": {"host": `"h"`}, "unasked": {"host": `"h"`}, "refused": {"missing": "x"}},
		Variables: map[string]found{"v": {"value": `"1"`}},
	}
	r := newReport()
	c := r.cell("0", "a way", "values")
	known.compare(c, "sdk", look{
		Connections: map[string]found{"same": {"host": `"h"`}, "other": {"host": `"H"`}, "gone": {"missing": "y"}, "refused": {"host": `"h"`}},
		Variables:   map[string]found{"v": {"value": `"2"`}},
	})
	entries := map[string]bool{}
	for _, each := range r.differences[c] {
		entries[each.entry] = true
	}
	assert.Equal(t, map[string]bool{"connection other": true, "connection gone": true, "connection unasked": true, "connection refused": true, "variable v": true}, entries)
	assert.Equal(t, 6, r.counts[c])
	assert.Equal(t, "1 of 6", r.text(c))
	assert.Error(t, r.print(t.Output(), false))
}

// TestTheTableIsRead also states that no row gets lost on the way.
func TestTheTableIsRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/connections-table.md")
	require.NoError(t, err)
	documented, err := readTable(string(text))
	require.NoError(t, err)
	table, _, _ := strings.Cut(string(text), "## What fails")
	assert.Len(t, documented, strings.Count(table, "\n| ")-strings.Count(table, "\n| case "))
	assert.Equal(t, "google_cloud_platform: nothing: keyless", documented[0].name)
	assert.JSONEq(t, `{"conn_type":"google_cloud_platform"}`, string(documented[0].given))
	assert.JSONEq(t, `{"conn_type":"google_cloud_platform"}`, string(documented[0].stored))
	assert.Equal(t, "ADC", documented[0].uses)

	r := newReport()
	c := r.cell("0", "a way", "values")
	c.compareWords("a", "raises: ValueError", "raises: half a pair")
	assert.Empty(t, r.differences[c])
	c.compareWords("b", "ADC", "keyfile_dict")
	assert.Len(t, r.differences[c], 1)
}
