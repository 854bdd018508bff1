package e2e

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testgolden"
)

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
	testgolden.Row(t, "../../docs/measured.md", "<!-- end of the stores -->", row, "make bench RECORD=1")
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
