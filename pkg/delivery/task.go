package delivery

import (
	"time"
)

// task is one delivery of one volume.
type task struct {
	*volume
	// spec and key are the volume's as the delivery began, number is the delivery's.
	spec   Volume
	key    string
	number uint64
	// began is when; told is when a watch told of the change that led to it.
	began, told time.Time
	// live is set if the volume showed files then; failures counts the deliveries that have
	// failed since the last good one.
	live     bool
	failures int
	// news is set if it began because of news of a change.
	news bool
}

// begin starts a delivery. Its end must be recorded.
func (s *set) begin(v *volume) task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return v.beginLocked()
}

func (v *volume) beginLocked() task {
	v.asked++
	v.underWay++
	begun := task{
		volume: v, spec: v.spec, key: v.key, number: v.asked, began: time.Now(), told: v.told,
		live: v.health.Generation > 0, failures: v.failures, news: v.changed,
	}
	v.changed, v.told = false, time.Time{}
	return begun
}

// outcome is how a delivery ended. Where there is no new generation the files are as they
// were.
type outcome struct {
	placement
	// failed is set where it is to be tried again soon.
	failed  bool
	problem string
	// news is the task's.
	news bool
	// lost is set where the volume's mount was found gone.
	lost bool
	// held is how many entries stand as they were, because they cannot be had now.
	held int
}

// end records a delivery's outcome and sets when to look again.
func (s *set) end(v *volume, o outcome, next func(spec Volume, failures, quiet int) time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.underWay--
	v.health.Problem = o.problem
	switch {
	case o.lost: // it waits for Publish again, as one that is new
		v.health.Generation = 0
	case o.generation > 0:
		v.health.Generation, v.health.Confirmed, v.health.Offline = o.generation, o.confirmed, o.offline
		v.health.Held = o.held
	}
	v.count(o)
	if v.changed {
		v.postpone()
		return
	}
	base, now := next(v.spec, v.failures, v.quiet), time.Now()
	v.due, v.early = now.Add(jitter(base)), now.Add(earliest(base))
}

func (v *volume) count(o outcome) {
	switch {
	case o.failed:
		v.failures++
	case o.changed:
		v.failures, v.quiet, v.futile = 0, 0, 0
	default:
		v.failures = 0
		v.quiet++
		if o.news {
			v.rested = time.Now().Add(min(mostRest, leastRest<<min(v.futile, 10)))
			v.futile++
		}
	}
}
