package report

import (
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Observer is told what happens, for whoever counts it. Its methods return at once and
// are safe for concurrent use. What is counted names no pod and no entry, so that it stays
// as few series as there are sources and outcomes.
type Observer interface {
	// Fetched tells of one fetch, for however many volumes it was.
	Fetched(Fetch)
	// Resolved tells how asking a cloud for what a reference points at ended.
	Resolved(cloud, outcome string, took time.Duration)
	// Delivered tells of one volume's delivery.
	Delivered(Report)
	// Panicked tells of a fault of this program, which ended what it was doing for one
	// volume or one watch.
	Panicked()
}

// Fetch is how one fetch ended.
type Fetch struct {
	Source string
	// Outcome is "ok", or whose turn it is: "unavailable", "unauthenticated", "denied",
	// "missing", "protocol", "too_large" or "error"; "cancelled" or "deadline" where nobody waited for
	// it. That of several pods is the first that is not ok.
	Outcome string
	Took    time.Duration
	// Refusals counts the entries that were refused, by state.
	Refusals map[layout.State]int
}
