package schedule

import (
	"cmp"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Set is what a volume wants: names, and kinds of which it wants all.
type Set struct {
	kinds []provider.Kind
	// names are sorted.
	names []provider.Name
}

// NewSet returns the set of all entries of the kinds and of the names, which it owns.
func NewSet(kinds []provider.Kind, names []provider.Name) Set {
	slices.SortFunc(names, compareNames)
	return Set{kinds, names}
}

func compareNames(a, b provider.Name) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}

func (s Set) has(name provider.Name) bool {
	_, found := slices.BinarySearchFunc(s.names, name, compareNames)
	return found || slices.Contains(s.kinds, name.Kind)
}

// Changed makes every volume of the source due that the change may concern, within the time
// given.
func (s *Schedule) Changed(source string, change provider.Change, within time.Duration, now time.Time) {
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
	provider.Change
	kinds []provider.Kind
	names map[provider.Name]struct{}
}

func newsOf(change provider.Change) news {
	made := news{Change: change, names: make(map[provider.Name]struct{}, len(change.Entries))}
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
	case slices.ContainsFunc(v.Wanted.kinds, func(kind provider.Kind) bool { return slices.Contains(n.kinds, kind) }):
		return true
	case len(n.Entries) < len(v.Wanted.names):
		return slices.ContainsFunc(n.Entries, v.Wanted.has)
	}
	return slices.ContainsFunc(v.Wanted.names, func(name provider.Name) bool {
		_, found := n.names[name]
		return found
	})
}

// Watched takes in whether the source tells of changes at present.
func (s *Schedule) Watched(source string, up bool) { s.watched[source] = up }

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
