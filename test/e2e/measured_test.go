package e2e

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	measuredDocument = "../../docs/measured.md"
	measuredEnd      = "<!-- end of the stores -->"
)

var update = flag.Bool("update", false, "write what is measured of the stores into docs/measured.md")

// measured is a figure, beside a floor of the same run.
type measured struct {
	what, figure, floor, budget string
	isKept                      bool // the budget
}

// record prints the row, and puts it into the document in place of the one that says the same, or makes sure that there is
// one. With it stands how much else the machine had to do.
func (m measured) record(t *testing.T) {
	t.Helper()
	word := map[bool]string{true: "ok", false: "over"}[m.isKept]
	row := fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", m.what, m.figure, m.floor, m.budget, word, load(t))
	t.Logf("budget: %s", row)
	text, err := os.ReadFile(measuredDocument)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "| "+m.what+" |") })
	if !*update {
		require.GreaterOrEqual(t, at, 0, "%s has no row %q: run 'make bench RECORD=1'", measuredDocument, m.what)
		return
	}
	if at < 0 {
		at = slices.Index(lines, measuredEnd)
		require.GreaterOrEqual(t, at, 0)
		lines = slices.Insert(lines, at, "")
	}
	lines[at] = row
	require.NoError(t, os.WriteFile(measuredDocument, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

// load is how many threads wanted a processor in the last minute, this run's among them, and how many there are.
func load(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	require.NoError(t, err)
	minute, _, _ := strings.Cut(string(text), " ")
	return fmt.Sprintf("%s of %d", minute, runtime.NumCPU())
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1e3) }
