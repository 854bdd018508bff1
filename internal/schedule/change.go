package schedule

import (
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Set is what a volume wants: names, and kinds of which it wants all.
type Set struct {
	kinds []layout.Kind
	// names are sorted.
	names []layout.Name
}

// NewSet returns the set of all entries of the kinds and of the names, which it owns.
func NewSet(kinds []layout.Kind, names []layout.Name) Set {
	slices.SortFunc(names, layout.Compare)
	return Set{kinds, names}
}

// Has reports whether the name is in the set.
func (s Set) Has(name layout.Name) bool {
	_, found := slices.BinarySearchFunc(s.names, name, layout.Compare)
	return found || slices.Contains(s.kinds, name.Kind)
}

// Change names what may have changed.
type Change struct {
	// All is set where it is not known what did.
	All     bool
	Entries []layout.Name
	// Namespace is that of the pods that it concerns; empty if it is any.
	Namespace string
}

// WatchBegan takes in that the source will tell of changes from here on.
func (s *Schedule) WatchBegan(source string) { s.watched[source] = true }

// WatchEnded takes in that the source tells of changes no more. If that is new, every volume
// of it is fetched once, within the time that polling takes.
func (s *Schedule) WatchEnded(source string, isNew bool, now time.Time) {
	s.watched[source] = false
	if isNew {
		s.changed(source, Change{All: true}, s.PollEvery, now)
	}
}

// Notified takes in what the source tells, which is a sign of life besides: an outage is
// looked into at once. A change of single entries is fetched at once, and after a gap
// everything is over a while.
func (s *Schedule) Notified(source string, change Change, now time.Time) {
	s.watched[source] = true
	s.outages.ProbeNow(source, now)
	within := time.Duration(0)
	if change.All {
		within = ResyncSpread
	}
	s.changed(source, change, within, now)
}

// changed makes every volume of the source due that the change may concern, within the time
// given.
func (s *Schedule) changed(source string, change Change, within time.Duration, now time.Time) {
	news := newsOf(change)
	s.makeDue(within, now, func(v *volume) bool {
		if v.Source != source || !news.concern(v) {
			return false
		}
		v.changed = true
		if !change.All && v.notifiedAt.IsZero() {
			v.notifiedAt = now
		}
		return true
	})
}

// news are a change, ready to be looked up: it may have tens of thousands of entries.
type news struct {
	Change
	kinds []layout.Kind
	names map[layout.Name]struct{}
}

func newsOf(change Change) news {
	made := news{Change: change, names: make(map[layout.Name]struct{}, len(change.Entries))}
	for _, name := range change.Entries {
		made.names[name] = struct{}{}
		if !slices.Contains(made.kinds, name.Kind) {
			made.kinds = append(made.kinds, name.Kind)
		}
	}
	return made
}

// concern looks up the shorter list in the longer one.
func (n news) concern(v *volume) bool {
	switch {
	case n.All:
		return true
	case n.Namespace != "" && n.Namespace != v.Namespace:
		return false
	case slices.ContainsFunc(v.Wanted.kinds, func(kind layout.Kind) bool { return slices.Contains(n.kinds, kind) }):
		return true
	case len(n.Entries) < len(v.Wanted.names):
		return slices.ContainsFunc(n.Entries, v.Wanted.Has)
	}
	return slices.ContainsFunc(v.Wanted.names, func(name layout.Name) bool {
		_, found := n.names[name]
		return found
	})
}

// makeDue draws one time for all volumes that can share a call.
func (s *Schedule) makeDue(within time.Duration, now time.Time, chosen func(*volume) bool) {
	delays := map[string]time.Duration{}
	for _, v := range s.volumes {
		if !chosen(v) {
			continue
		}
		if _, drawn := delays[v.Key]; !drawn {
			delays[v.Key] = s.Random(within + 1)
		}
		v.due, v.earliest = now.Add(delays[v.Key]), now
		v.debounce()
	}
}

// debounce puts off what news call for until the volume has had its pause: a source that
// tells of a change over and over must not have the node fetch without one.
func (v *volume) debounce() {
	if v.due.Before(v.debounceUntil) {
		v.due = v.debounceUntil
	}
	if v.earliest.Before(v.debounceUntil) {
		v.earliest = v.debounceUntil
	}
}
