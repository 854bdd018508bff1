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
	// content is set where the entry itself is another, and not just who may read it.
	content bool
	// before and after are who may read it; nil where it is not there. Of a team's, shared are those
	// who may read the entry for all of its name.
	before, after, shared *rule.Access
}

// readers are who could read an entry and who now can, and whether the entry is another.
type readers struct {
	before, after, shared *rule.Access
	content               bool
}

// concern tells whether any of the subjects could read the entry, or now can; where the entry is the
// same, whether one of them no longer can or now can. Otherwise a rule about one team's pods would have
// everybody ask again. One that may not read it is concerned where it hides what that one could read.
func (r readers) concern(subjects []rule.Subject) bool {
	return slices.ContainsFunc(subjects, func(subject rule.Subject) bool {
		could, can := r.before.Lets(subject), r.after.Lets(subject)
		return could != can || can && r.content || r.before.Hides(subject) != r.after.Hides(subject) && r.shared.Lets(subject)
	})
}

// changedSince lists what differs from older.
func (s *Snapshot) changedSince(older *Snapshot) []Change {
	var changed []Change
	for i, e := range s.entries {
		was, is := older.readersOf(e), s.readers[i]
		if content := !older.Has(*e); content || was != is && was.Spelled() != is.Spelled() {
			changed = append(changed, Change{e.Team, e.Name, content, was, is, s.sharedReadersOf(e, older)})
		}
	}
	for i, e := range older.entries {
		if s.readersOf(e) == nil {
			changed = append(changed, Change{e.Team, e.Name, true, older.readers[i], nil, s.sharedReadersOf(e, older)})
		}
	}
	return changed
}

// readersOf is who may read the entry of e's name and team; nil where there is none.
func (s *Snapshot) readersOf(e *Entry) *rule.Access {
	i, found := s.index[place{e.Team, e.Name}]
	if !found {
		return nil
	}
	return s.readers[i]
}

// sharedReadersOf is who may read the entry for all of the name of a team's e, or before could.
func (s *Snapshot) sharedReadersOf(e *Entry, older *Snapshot) *rule.Access {
	if e.Team == "" {
		return nil
	}
	shared := &Entry{Name: e.Name}
	if found := s.readersOf(shared); found != nil {
		return found
	}
	return older.readersOf(shared)
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
	known := map[readers]bool{} // most entries have theirs in common with others
	return names(u.Changed, func(change Change) bool {
		of := readers{change.before, change.after, change.shared, change.content}
		concerned, found := known[of]
		if !found {
			concerned = of.concern(subjects)
			known[of] = concerned
		}
		return concerned
	})
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
