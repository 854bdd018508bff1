package fault

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
)

// request is what an audit log has of one.
type request struct {
	at       time.Time
	given    map[int]int // allowed records by the try of the caller's token
	outcomes []audit.Outcome
	by       *replica
}

// audited is what the logs of all replicas have together.
type audited struct {
	requests map[string]*request
	// cut are the requests without an outcome.
	cut []*request
}

// readAudit holds the logs against what must be: one outcome for each request that was allowed
// anything, but for those that were under way when their core was killed.
func readAudit(t *testing.T, replicas []*replica) audited {
	t.Helper()
	found := audited{requests: map[string]*request{}}
	for _, r := range replicas {
		text, err := os.ReadFile(r.audit)
		require.NoError(t, err)
		torn := 0
		for line := range strings.Lines(string(text)) {
			var record audit.Record
			if json.Unmarshal([]byte(line), &record) != nil {
				torn++ // at a kill
				continue
			}
			found.add(t, r, record)
		}
		assert.LessOrEqual(t, torn, len(r.killed), "torn lines in the audit log")
	}
	for _, each := range found.requests {
		if len(each.given) == 0 {
			continue
		}
		assert.LessOrEqual(t, len(each.outcomes), 1, "outcomes of one request")
		if len(each.outcomes) == 0 {
			assert.True(t, each.isCut(), "a request at %v has no outcome, and its core was not killed then", each.at)
			found.cut = append(found.cut, each)
		}
	}
	return found
}

func (a audited) add(t *testing.T, by *replica, record audit.Record) {
	t.Helper()
	each := a.requests[record.Request]
	if each == nil {
		each = &request{at: record.Time, given: map[int]int{}, by: by}
		a.requests[record.Request] = each
	}
	assert.Same(t, by, each.by, "two cores have a request of one id")
	switch {
	case record.Outcome != "":
		each.outcomes = append(each.outcomes, record.Outcome)
	case record.Decision == audit.Allowed && record.Entry != "":
		each.given[record.Try]++
	}
}

// isCut tells whether the core was killed while it may have been at the request.
func (r *request) isCut() bool {
	const most = 3 * time.Second // that a core takes to answer, on a machine with much else to do
	for _, killed := range r.by.killed {
		if gap := killed.Sub(r.at); gap > -time.Second && gap < most {
			return true
		}
	}
	return false
}

// unrecorded counts the pods, by the tries of their tokens, that no single request gave all entries.
func (a audited) unrecorded(t *testing.T, started []int) (count int) {
	t.Helper()
	whole := map[int]bool{}
	for _, each := range a.requests {
		for try, given := range each.given {
			if given == entriesPerPod && (len(each.outcomes) == 0 || each.outcomes[0] == audit.Sent) {
				whole[try] = true
			}
		}
	}
	for _, try := range started {
		if !whole[try] {
			count++
			t.Errorf("the pod of try %d has started, and no request gave it its entries", try)
		}
	}
	return count
}
