package schedule

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Work is deliveries that can share one call.
type Work []Delivery

// Due begins the deliveries that are due, those that wait longest first, and tells how long
// until there are more. Volumes without files belong to their publish, those under way to
// whoever ends them. A source that cannot be asked is left alone, but for one volume when it
// is time to find out whether that is still so.
func (s *Schedule) Due(now time.Time) (work []Work, wait time.Duration) {
	candidates, wait := s.candidates(now)
	slices.SortFunc(candidates, compare)
	keys := map[string]int{}
	for _, v := range candidates {
		if left := v.due.Sub(now); left > 0 {
			wait = min(wait, left)
		} else if _, known := keys[v.Key]; !known {
			keys[v.Key] = len(keys)
		}
	}
	work = make([]Work, len(keys))
	for _, id := range slices.Sorted(maps.Keys(s.volumes)) {
		v := s.volumes[id]
		if at, due := keys[v.Key]; due && v.isIdle() && !now.Before(v.earliest) {
			work[at] = append(work[at], s.begin(v, now))
		}
	}
	return work, wait
}

func compare(a, b *volume) int {
	if order := a.due.Compare(b.due); order != 0 {
		return order
	}
	return strings.Compare(a.ID, b.ID)
}

// candidates are the idle volumes whose sources can be asked, and of each outage whose time
// has come, one volume.
func (s *Schedule) candidates(now time.Time) (all []*volume, wait time.Duration) {
	bySource := map[string]map[string][]*volume{}
	for _, v := range s.volumes {
		if !v.isIdle() {
			continue
		}
		if bySource[v.Source] == nil {
			bySource[v.Source] = map[string][]*volume{}
		}
		bySource[v.Source][v.Namespace] = append(bySource[v.Source][v.Namespace], v)
	}
	wait = maxIdle
	for source, byNamespace := range bySource {
		var those []*volume
		for namespace, volumes := range byNamespace {
			if left, away := s.outages.Wait(of(source, namespace), namespace, now); away {
				volumes = admissible(volumes, left, &wait, now)
			}
			// An outage of everybody's is for one of those to find out about who do not yet.
			if left, _ := s.outages.Wait(of(source, ""), namespace, now); left > 0 {
				volumes = admissible(volumes, left, &wait, now)
			}
			those = append(those, volumes...)
		}
		if _, away := s.outages.Wait(of(source, ""), "", now); away {
			those = admissible(those, 0, &wait, now)
		}
		all = append(all, those...)
	}
	return all, wait
}

// admissible is one of the volumes, to find out whether an outage is over, or none if it is not
// time to: the end of a probe wakes the caller.
func admissible(volumes []*volume, left time.Duration, wait *time.Duration, now time.Time) []*volume {
	switch {
	case len(volumes) == 0:
		return nil
	case left > 0:
		*wait = min(*wait, left)
		return nil
	}
	return []*volume{prober(volumes, now)}
}

// prober picks the longest-waiting volume to test whether an outage is over, and makes it
// due if none is: an outage must not seem to last until one is.
func prober(volumes []*volume, now time.Time) *volume {
	first := slices.MinFunc(volumes, compare)
	if first.due.After(now) {
		first.due, first.earliest = now, now
	}
	return first
}
