// Package schedule knows which volumes of a node are due to be fetched again, and which
// sources cannot be asked at present. It fetches nothing and waits for nothing.
//
// A Schedule is a value: it has no lock, no goroutine and no clock. The caller passes the
// time to every call, and keeps calls apart.
package schedule

import (
	"time"

	"github.com/leoflow/secrets-csi/internal/outage"
)

// Schedule is the volumes of a node and the outages of their sources. Make it with New.
type Schedule struct {
	// PollEvery is how often a volume without a Refresh is fetched again where its source does
	// not tell of changes.
	PollEvery time.Duration
	// MinRefresh is the least pause between two fetches of a volume that nothing calls for, for
	// each hundred ids of its, or a part of them.
	MinRefresh time.Duration
	// Random returns a duration between 0 and n, n excluded.
	Random func(n time.Duration) time.Duration

	volumes map[string]*volume
	// watched has the sources that tell of changes at present.
	watched map[string]bool
	outages outage.Outages
	// answered is when a call to a source last was.
	answered map[string]time.Time
	// begun numbers the deliveries.
	begun uint64
}

// New returns a Schedule without volumes.
func New(pollEvery, minRefresh time.Duration, random func(n time.Duration) time.Duration) *Schedule {
	s := &Schedule{
		PollEvery: pollEvery, MinRefresh: minRefresh, Random: random,
		volumes: map[string]*volume{}, watched: map[string]bool{}, answered: map[string]time.Time{},
	}
	s.outages = outage.Outages{
		Pause:       func(failures int) time.Duration { return s.halfJitter(backoff(failures)) },
		UrgentPause: UrgentPause, ForgetAfter: believedFor,
	}
	return s
}

// Volume is what the schedule has to know of a volume.
type Volume struct {
	ID     string
	Source string
	// Namespace is the pod's. Pods of one namespace share the outages of single calls.
	Namespace string
	// Key is equal for volumes that may share a call.
	Key string
	// Refresh is how often to fetch again; zero leaves it to the schedule.
	Refresh time.Duration
	// IDs is how many it lists.
	IDs    int
	Wanted Set
}

// volume is a Volume and where it stands. One without files waits for its publish.
type volume struct {
	Volume
	hasFiles bool
	underWay int
	// entries is how many the last delivery had, which "*" may have brought.
	entries int
	// due is when to fetch again; from earliest on it goes along with another of its key.
	due, earliest time.Time
	// changed is set by news of a change that no delivery has begun for yet, and notifiedAt
	// is when a watch brought them, until a delivery has done what they ask for.
	changed    bool
	notifiedAt time.Time
	// failures counts the deliveries that failed since the last good one, noopRuns the good
	// ones that changed nothing since the last that did.
	failures, noopRuns int
	// noopEvents counts the deliveries in a row that news led to and that changed nothing.
	// None begins for more of such news before debounceUntil.
	noopEvents    int
	debounceUntil time.Time
}

func (v *volume) isNotified() bool { return !v.notifiedAt.IsZero() }

// isIdle reports whether the volume has files and no delivery under way.
func (v *volume) isIdle() bool { return v.hasFiles && v.underWay == 0 }

// IsIdle reports whether the volume has files and no delivery under way.
func (s *Schedule) IsIdle(id string) bool {
	v := s.volumes[id]
	return v != nil && v.isIdle()
}

// Add takes in a volume, with the files of a process before this one or without.
func (s *Schedule) Add(added Volume, hasFiles bool) {
	s.volumes[added.ID] = &volume{Volume: added, hasFiles: hasFiles}
}

// Update takes in a volume's newer self. If that asks for something else, or the last
// delivery failed, the volume is due.
func (s *Schedule) Update(newer Volume, asksForElse bool) {
	v := s.volumes[newer.ID]
	if asksForElse || v.failures > 0 {
		v.due, v.earliest = time.Time{}, time.Time{}
	}
	v.changed = v.changed || asksForElse
	v.Volume = newer
}

// Remove forgets the volume. Deliveries of it that are under way end without effect.
func (s *Schedule) Remove(id string) { delete(s.volumes, id) }

// LostFiles takes in that the volume shows nothing any more: it waits for its publish.
func (s *Schedule) LostFiles(id string) { s.volumes[id].hasFiles = false }

// Delivery is one delivery of one volume, as it begins. Its end has to be told to Ended.
type Delivery struct {
	ID string
	// Number is greater than that of every delivery that began before.
	Number uint64
	Began  time.Time
	// HasFiles is set if the volume showed files.
	HasFiles bool
	// Failures counts the deliveries that failed since the last good one.
	Failures int
	// Changed is set if news of a change led to it, and NotifiedAt is when a watch brought
	// them.
	Changed    bool
	NotifiedAt time.Time
	// of tells a volume from a later one of the same id.
	of *volume
}

// Begin starts the delivery of one volume, for which a pod waits. That of one which there is
// not any more ends without effect.
func (s *Schedule) Begin(id string, now time.Time) Delivery {
	v, found := s.volumes[id]
	if !found {
		v = &volume{Volume: Volume{ID: id}}
	}
	return s.begin(v, now)
}

func (s *Schedule) begin(v *volume, now time.Time) Delivery {
	s.begun++
	v.underWay++
	made := Delivery{
		ID: v.ID, Number: s.begun, Began: now, HasFiles: v.hasFiles,
		Failures: v.failures, Changed: v.changed, NotifiedAt: v.notifiedAt, of: v,
	}
	v.changed, v.notifiedAt = false, time.Time{}
	return made
}

// Ended is how a delivery ended.
type Ended struct {
	// Failed deliveries are tried again soon.
	Failed bool
	// Changed is set if the volume shows other files than before.
	Changed bool
	// HasFiles is set if the volume shows files.
	HasFiles bool
	// Entries is how many the volume has; 0 if that is not known.
	Entries int
}

// Ended takes in how a delivery ended, and sets when to fetch again.
func (s *Schedule) Ended(delivery Delivery, end Ended, now time.Time) {
	v := delivery.of
	v.underWay--
	v.hasFiles = end.HasFiles
	if end.Failed && !v.isNotified() {
		v.notifiedAt = delivery.NotifiedAt
	}
	if end.Entries > 0 {
		v.entries = end.Entries
	}
	v.count(delivery, end, now)
	if v.changed { // meanwhile: what that made due stays due
		v.debounce()
		return
	}
	base := s.pause(v)
	v.due, v.earliest = now.Add(s.jitter(base)), now.Add(shortest(base))
}

func (v *volume) count(delivery Delivery, end Ended, now time.Time) {
	switch {
	case end.Failed:
		v.failures++
	case end.Changed:
		v.failures, v.noopRuns, v.noopEvents = 0, 0, 0
	default:
		v.failures = 0
		v.noopRuns++
		if delivery.Changed {
			v.debounceUntil = now.Add(min(MaxDebounce, minDebounce<<min(v.noopEvents, 10)))
			v.noopEvents++
		}
	}
}
