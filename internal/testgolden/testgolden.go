// Package testgolden holds what a test makes against what is committed, and writes it anew with -update.
package testgolden

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is committed anew, and do not compare it")

// File holds a text against a whole file, which the command writes.
func File(t testing.TB, path, text, command string) {
	t.Helper()
	committed, err := os.ReadFile(path)
	switch {
	case *update && string(committed) == text:
	case *update:
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	default:
		require.NoError(t, err, "run: "+command)
		assert.Equal(t, text, string(committed), "if that is meant, run: "+command)
	}
}

// Row has a row stand in a table of a Markdown file, which the command writes: in place of the one whose first cell is the
// same or, where there is none, before the line end. Without -update, and of a test that has failed, the one that is
// there stays, whatever its other cells. Row returns the one that stands there.
func Row(t testing.TB, path, end, row, command string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	cells := strings.SplitAfterN(row, "|", 3)
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, cells[0]+cells[1]) })
	if !*update || t.Failed() {
		require.GreaterOrEqual(t, at, 0, "%s has no row %q: run: %s", path, strings.Trim(cells[1], " |"), command)
		return lines[at]
	}
	if at < 0 {
		at = slices.Index(lines, end)
		require.GreaterOrEqual(t, at, 0)
		lines = slices.Insert(lines, at, "")
	}
	lines[at] = row
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	return row
}
