package fault

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/leoflow/secrets-csi/internal/testgolden"
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
	stands := testgolden.Row(t, document, "<!-- end of counts -->", r.String(), "make fault")
	assert.Regexp(t, `\| 0 \| 0 \| 0 \| [^|]+ \|$`, stands)
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
