package store

import (
	"slices"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Change is one entry that is new, gone, at another version or for other readers.
type Change struct {
	Team string
	Name entry.Name
	// before and after are who may read it; nil where it is not there.
	before, after *rule.Access
}

// concerns tells whether any of the subjects could read the entry, or now can.
func (c Change) concerns(subjects []rule.Subject) bool {
	return slices.ContainsFunc(subjects, func(subject rule.Subject) bool {
		return c.before != nil && c.before.Lets(subject) || c.after != nil && c.after.Lets(subject)
	})
}

// changedSince lists what differs from older.
func (s *Snapshot) changedSince(older *Snapshot) []Change {
	var changed []Change
	for i, e := range s.entries {
		was, is := older.readersOf(e), s.readers[i]
		if was == nil || was != is && was.Spelled() != is.Spelled() || !older.Has(e) {
			changed = append(changed, Change{e.Team, e.Name, was, is})
		}
	}
	for i, e := range older.entries {
		if s.readersOf(e) == nil {
			changed = append(changed, Change{e.Team, e.Name, older.readers[i], nil})
		}
	}
	return changed
}

// readersOf is who may read the entry of e's name and team; nil where there is none.
func (s *Snapshot) readersOf(e Entry) *rule.Access {
	i, found := s.index[place{e.Team, e.Name}]
	if !found {
		return nil
	}
	return s.readers[i]
}

// adopt takes over what older has too, so that it is in memory once however much of it the
// history remembers.
func (s *Snapshot) adopt(older *Snapshot) {
	for i, access := range s.readers {
		if same, known := older.known[access.Spelled()]; known {
			s.readers[i] = same
		}
	}
	for spelled := range s.known {
		if same, known := older.known[spelled]; known {
			s.known[spelled] = same
		}
	}
}

// Names are those of the changes, each once, in order.
func (u Update) Names() []entry.Name {
	return names(u.Changed, func(Change) bool { return true })
}

// NamesFor are those of the changes of what any of the subjects could read, or now can. One that
// could for a moment in between, and read then, is told too.
func (u Update) NamesFor(subjects []rule.Subject) []entry.Name {
	return names(u.Changed, func(change Change) bool { return change.concerns(subjects) })
}

func names(changes []Change, chosen func(Change) bool) []entry.Name {
	var found []entry.Name
	for _, change := range changes {
		if chosen(change) {
			found = append(found, change.Name)
		}
	}
	slices.SortFunc(found, entry.Compare)
	return slices.Compact(found)
}
