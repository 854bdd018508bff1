package delivery

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// markChanged makes due every volume of the provider that the change may concern,
// within the time given.
func (s *set) markChanged(providerName string, change provider.Change, within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := make(map[entry.Name]bool, len(change.Entries)+2)
	for _, name := range change.Entries {
		changed[name], changed[entry.Name{Kind: name.Kind}] = true, true // and one of its kind
	}
	s.makeDue(within, func(v *volume) bool {
		concerned := v.spec.Provider == providerName && concerns(change, changed, v.spec)
		v.changed = v.changed || concerned
		if concerned && !change.All && v.told.IsZero() {
			v.told = time.Now()
		}
		return concerned
	})
}

// resume makes due, over resyncSpread, what waited while the provider could not be
// asked.
func (s *set) resume(providerName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.makeDue(resyncSpread, func(v *volume) bool {
		return v.spec.Provider == providerName && (v.failures > 0 || !now.Before(v.due))
	})
}

// makeDue draws one time for all volumes that can share a call.
func (s *set) makeDue(within time.Duration, chosen func(*volume) bool) {
	now, delays := time.Now(), map[string]time.Duration{}
	for _, v := range s.live {
		if !chosen(v) {
			continue
		}
		if _, drawn := delays[v.key]; !drawn {
			delays[v.key] = rand.N(within + 1)
		}
		v.due, v.early = now.Add(delays[v.key]), now
		v.postpone()
	}
}

// postpone holds a look that news calls for until the volume has rested: a provider that
// tells of a change over and over must not have the node ask without a pause.
func (v *volume) postpone() {
	if v.due.Before(v.rested) {
		v.due = v.rested
	}
	if v.early.Before(v.rested) {
		v.early = v.rested
	}
}

// concerns looks up what the volume wants in what has changed, and not the other way
// round: a change may have tens of thousands of entries.
func concerns(change provider.Change, changed map[entry.Name]bool, spec Volume) bool {
	if change.All {
		return true
	}
	if change.Namespace != "" && change.Namespace != spec.Pod.Namespace {
		return false
	}
	for _, kind := range []entry.Kind{entry.Connection, entry.Variable} {
		wanted := spec.wanted(kind)
		if wanted.All && changed[entry.Name{Kind: kind}] {
			return true
		}
		for _, name := range wanted.Names {
			if changed[entry.Name{Kind: kind, ID: name.ID}] {
				return true
			}
		}
	}
	return false
}

// takeDue returns the volumes that are due, grouped so that each group can share one
// fetch, and how long until the next is due. Volumes that wait for their first delivery
// belong to Publish, those under way to whoever ends them. turn tells of a provider
// how long nobody may ask it, and whether no more than one call may, to find out whether
// an outage is over.
func (s *set) takeDue(now time.Time, turn func(providerName string, now time.Time) (wait time.Duration, probe bool)) (groups [][]task, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due, wait := map[string]bool{}, maxIdle
	for name, volumes := range s.idle() {
		held, probe := turn(name, now)
		switch {
		case held > 0:
			wait = min(wait, held)
			continue
		case probe:
			volumes = []*volume{prober(volumes, now)}
		}
		for _, v := range volumes {
			if left := v.due.Sub(now); left > 0 {
				wait = min(wait, left)
			} else {
				due[v.key] = true
			}
		}
	}
	return s.beginGroups(due, now), wait
}

// idle are the idle volumes by provider.
func (s *set) idle() map[string][]*volume {
	byProvider := map[string][]*volume{}
	for _, v := range s.live {
		if v.isIdle() {
			byProvider[v.spec.Provider] = append(byProvider[v.spec.Provider], v)
		}
	}
	return byProvider
}

// prober is the volume that waits longest, made due if none is: an outage must not seem
// to last until one is.
func prober(volumes []*volume, now time.Time) *volume {
	first := slices.MinFunc(volumes, func(a, b *volume) int { return a.due.Compare(b.due) })
	if first.due.After(now) {
		first.due, first.early = now, now
	}
	return first
}

// beginGroups starts a delivery of every idle volume of the keys, but for those that are not
// to be looked at yet.
func (s *set) beginGroups(keys map[string]bool, now time.Time) [][]task {
	byKey := map[string][]task{}
	for _, v := range s.live {
		if keys[v.key] && v.isIdle() && !now.Before(v.early) {
			byKey[v.key] = append(byKey[v.key], v.beginLocked())
		}
	}
	return slices.Collect(maps.Values(byKey))
}

// isIdle reports whether the volume has files and no delivery under way.
func (v *volume) isIdle() bool { return v.health.Generation > 0 && v.underWay == 0 }
