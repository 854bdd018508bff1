package schedule

import (
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/outage"
)

// Work is deliveries that can share one call.
type Work []Delivery

// Due begins the deliveries that are due, those that wait longest first, and tells how long
// until there are more. Volumes without files belong to their publish, those under way to
// whoever ends them. A source that cannot be asked is left alone, but for one volume when it
// is time to find out whether that is still so.
//
// It is called whenever a delivery ends, of a node's hundreds: what it allocates is in proportion to
// what is due, not to what there is.
func (s *Schedule) Due(now time.Time) (work []Work, wait time.Duration) {
	due, wait := s.candidates(now)
	if len(due) == 0 {
		return nil, wait
	}
	slices.SortFunc(due, compare)
	keys := map[string]int{}
	for _, v := range due {
		if _, known := keys[v.Key]; !known {
			keys[v.Key] = len(keys)
		}
	}
	along := due[:0]
	for _, v := range s.volumes {
		if _, isDue := keys[v.Key]; isDue && v.isIdle() && !now.Before(v.earliest) {
			along = append(along, v)
		}
	}
	slices.SortFunc(along, func(a, b *volume) int { return strings.Compare(a.ID, b.ID) })
	work = make([]Work, len(keys))
	for _, v := range along {
		at := keys[v.Key]
		work[at] = append(work[at], s.begin(v, now))
	}
	return work, wait
}

func compare(a, b *volume) int {
	if order := a.due.Compare(b.due); order != 0 {
		return order
	}
	return strings.Compare(a.ID, b.ID)
}

// group is the idle volumes of one source and namespace.
type group struct {
	// first is the one that waits longest.
	first *volume
	// isOpen is set if all may be fetched, and isProbe if first alone, to find out whether an outage
	// is over.
	isOpen, isProbe bool
}

// candidates are the idle volumes that are due and whose sources can be asked, and of each outage
// whose time has come, one volume.
func (s *Schedule) candidates(now time.Time) (due []*volume, wait time.Duration) {
	groups := s.groups()
	wait = s.open(groups, now)
	for _, v := range s.volumes {
		if !v.isIdle() {
			continue
		}
		in := groups[of(v.Source, v.Namespace)]
		switch left := v.due.Sub(now); {
		case !in.isOpen && (!in.isProbe || in.first != v):
		case left > 0:
			wait = min(wait, left)
		default:
			due = append(due, v)
		}
	}
	return due, wait
}

func (s *Schedule) groups() map[outage.Scope]*group {
	groups := map[outage.Scope]*group{}
	for _, v := range s.volumes {
		if !v.isIdle() {
			continue
		}
		at := of(v.Source, v.Namespace)
		if in := groups[at]; in == nil {
			groups[at] = &group{first: v}
		} else if compare(v, in.first) < 0 {
			in.first = v
		}
	}
	return groups
}

// open decides for each group whether it can be asked for, and tells how long until that of one may
// change. The end of a probe wakes the caller.
func (s *Schedule) open(groups map[outage.Scope]*group, now time.Time) (wait time.Duration) {
	wait = maxIdle
	probes := map[string]*group{} // of the outages that are everybody's
	for at, in := range groups {
		left, away := s.outages.Wait(at, at.Caller, now)
		// An outage of everybody's is for one of those to find out about who do not yet.
		leftOfAll, allAway := s.outages.Wait(of(at.Place, ""), at.Caller, now)
		switch {
		case left > 0:
			wait = min(wait, left)
		case leftOfAll > 0:
			wait = min(wait, leftOfAll)
		case allAway:
			if other := probes[at.Place]; other == nil || compare(in.first, other.first) < 0 {
				probes[at.Place] = in
			}
		case away:
			in.probe(now)
		default:
			in.isOpen = true
		}
	}
	for _, in := range probes {
		in.probe(now)
	}
	return wait
}

// probe has the longest-waiting volume test whether the outage is over, and makes it due if none is:
// an outage must not seem to last until one is.
func (g *group) probe(now time.Time) {
	g.isProbe = true
	if g.first.due.After(now) {
		g.first.due, g.first.earliest = now, now
	}
}
