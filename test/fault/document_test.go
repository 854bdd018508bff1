package fault

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const document = "../../docs/faults.md"

// row is one fault and what came of it.
type row struct {
	fault, how string
	reader     *reader
	times      int
	restarted  int
	lost       int
	converged  []time.Duration
}

func (r *rig) row(fault, how string) *row { return &row{fault: fault, how: how, reader: r.reader} }

// record puts the row into the document, or makes sure that there is one like it.
func (r *row) record(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "| "+r.fault+" |") })
	if !*update {
		require.GreaterOrEqual(t, at, 0, "%s has no row %q: run make fault", document, r.fault)
		assert.Regexp(t, `\| 0 \| 0 \| 0 \| [^|]+ \|$`, lines[at])
		return
	}
	if at < 0 {
		at = slices.Index(lines, "<!-- end of counts -->")
		require.GreaterOrEqual(t, at, 0)
		lines = slices.Insert(lines, at, "")
	}
	lines[at] = r.String()
	require.NoError(t, os.WriteFile(document, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

func (r *row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d | %s |",
		r.fault, r.how, r.times, r.reader.reads.Load(), r.reader.wrong.Load(), r.restarted, r.lost, r.time())
}

// time is how long converging took: the median and the longest.
func (r *row) time() string {
	if len(r.converged) == 0 {
		return "–"
	}
	slices.Sort(r.converged)
	return short(r.converged[len(r.converged)/2]) + ", at most " + short(r.converged[len(r.converged)-1])
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
