// Package report says how the delivery of one volume went, once, for all who tell of it: the
// log (log.go), the pod's events (event.go), metrics (metric.go) and the volume's health
// (health.go). A report holds no value.
package report

import (
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Report is how the delivery of one volume went.
type Report struct {
	Volume Volume
	// Cause is why it began: "publish" for a pod that waits for it, and for a live volume
	// "watch", "retry" or "poll".
	Cause string
	// WasLive is set if the volume showed files before, IsLive if it shows some now.
	WasLive, IsLive bool
	// Failure is why the volume is not as it should be; nil if it is.
	Failure *Error
	// MountGone is set where the failure is that the volume's mount is not there any more.
	MountGone bool
	// Superseded is set where the volume shows what a delivery brought that began later.
	Superseded bool

	// Generation is that of the files, and Confirmed is when they were last known to be
	// right; zero if that is not known.
	Generation uint64
	Confirmed  time.Time
	// Changed is set if the volume shows other files than before.
	Changed bool
	// Offline is set if it was filled from the node's memory.
	Offline bool
	// Late is set if any entry may be had soon.
	Late bool
	// Entries are those of the volume, Withdrawn those that left it with this delivery.
	Entries, Withdrawn []Entry
	// Pending are the entries that were taken away and could not leave, and why not.
	Pending Pending

	// SubPaths are the containers that mount a part of the volume, which a rotation does not reach.
	SubPaths []string

	// Took is how long the delivery took, and Lag the time from the notice of a change to
	// the swap that shows it; 0 without a notice.
	Took, Lag time.Duration

	troubles []trouble
}

// Volume is what a report is about.
type Volume struct {
	ID, Source                             string
	Namespace, Pod, PodUID, ServiceAccount string
}

// Entry is an entry of a volume: its line of the manifest.
type Entry struct {
	layout.Entry
	// Why is the line that says why it is not as the source has it, or is not there at all.
	// It has no state if nothing is the matter.
	Why layout.Entry
	// Needed is set if it left, and the pod cannot do without.
	Needed bool
	// Unresolved is set if it is for its reference, and Awaited while that is being resolved:
	// then nothing new is known of the entry.
	Unresolved, Awaited bool
}

// Pending is a withdrawal that was not carried out.
type Pending struct {
	Entries []layout.Entry
	Err     error
}

// isWithdrawn tells what somebody took away from what somebody broke.
func (e Entry) isWithdrawn() bool {
	return e.Why.State == layout.Denied || e.Why.State == layout.Missing
}

// Rotated is set where the files of a live volume were replaced.
func (r Report) Rotated() bool { return r.Changed && r.WasLive }

// Outcome is one word for it: "delivered", "unchanged", "held" if an entry is, or "offline";
// or the Reason that it failed for.
func (r Report) Outcome() string {
	switch {
	case r.Failure != nil:
		return r.Failure.Reason.String()
	case r.Offline:
		return "offline"
	case r.held() > 0:
		return "held"
	case r.Changed:
		return "delivered"
	default:
		return "unchanged"
	}
}

func (r Report) held() (count int) {
	for _, entry := range r.Entries {
		if entry.Held != nil {
			count++
		}
	}
	return count
}

// Problem is what is wrong with the volume now; empty if nothing is.
func (r Report) Problem() string {
	if r.Failure != nil {
		return r.Failure.Message
	}
	var texts []string
	for _, one := range r.troubles {
		texts = append(texts, one.text)
	}
	return strings.Join(texts, "; ")
}
