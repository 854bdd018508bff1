package store

import (
	"crypto/sha256"
	"iter"
	"slices"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Watched is the version of a name as watchers see it: it differs whenever that of any
// team's entry does, or who may read which.
type Watched struct {
	Name    entry.Name
	Version string
}

// watch names the version of each name once, of whichever teams it is.
func (s *Snapshot) watch(versioner Versioner) {
	s.readers = make([]*rule.Access, 0, len(s.entries))
	var spelled []byte // which is made anew for none but the first of many alike
	for i := 0; i < len(s.entries); {
		name := s.entries[i].Name
		digest := versioner.begin("watched")
		for ; i < len(s.entries) && s.entries[i].Name == name; i++ {
			digest.add(s.entries[i].Team)
			digest.add(s.entries[i].Version)
			readers := s.Rules.Readers(s.entries[i].Team, name)
			for _, reader := range readers {
				digest.add(reader)
			}
			var access *rule.Access
			access, spelled = s.access(s.entries[i], readers, spelled)
			s.readers = append(s.readers, access)
		}
		s.watched = append(s.watched, Watched{name, digest.String()})
	}
}

// access is who may read e: the same one for all entries that the same may read. It spells them into
// spelled.
func (s *Snapshot) access(e *Entry, readers []string, spelled []byte) (*rule.Access, []byte) {
	spelled = rule.Spell(spelled[:0], e.Team, readers)
	sum := sha256.Sum256(spelled) // of what may be long, and is remembered of each entry
	access, known := s.known[string(sum[:])]
	if !known {
		access = s.Rules.Access(e.Team, e.Name, string(sum[:]))
		s.known[access.Spelled()] = access
	}
	return access, spelled
}

// Watched yields the names in order, each once.
func (s *Snapshot) Watched() iter.Seq[Watched] { return slices.Values(s.watched) }

// WatchedAs is the version of a name as watchers see it; empty where there is none.
func (s *Snapshot) WatchedAs(name entry.Name) string {
	i, found := slices.BinarySearchFunc(s.watched, name, func(w Watched, name entry.Name) int { return entry.Compare(w.Name, name) })
	if !found {
		return ""
	}
	return s.watched[i].Version
}

// Readership is what some subjects may read of a snapshot. It remembers which of them each Access lets,
// which most entries share with many others. It is for one goroutine.
type Readership struct {
	snapshot *Snapshot
	subjects []rule.Subject
	let      map[*rule.Access]string
}

// Readership is that of subjects, which stand in order.
func (s *Snapshot) Readership(subjects []rule.Subject) *Readership {
	return &Readership{s, subjects, map[*rule.Access]string{}}
}

// Shown yields, in order, the names that any of the subjects may read of those that there are, and
// versions that differ whenever what they may read of them does.
func (r *Readership) Shown() iter.Seq[Watched] {
	return func(yield func(Watched) bool) {
		for i := 0; i < len(r.snapshot.entries); {
			shown, next := r.shownAt(i)
			i = next
			if shown.Version != "" && !yield(shown) {
				return
			}
		}
	}
}

// ShownAs is the version of a name as Shown has it; empty where there is none.
func (r *Readership) ShownAs(name entry.Name) string {
	first, found := slices.BinarySearchFunc(r.snapshot.entries, name, func(e *Entry, name entry.Name) int { return entry.Compare(e.Name, name) })
	if !found {
		return ""
	}
	shown, _ := r.shownAt(first)
	return shown.Version
}

// shownAt is the name whose first entry is at i, and where the next name is.
func (r *Readership) shownAt(i int) (shown Watched, next int) {
	s := r.snapshot
	shown.Name = s.entries[i].Name
	var digest digest
	for ; i < len(s.entries) && s.entries[i].Name == shown.Name; i++ {
		let := r.letBy(s.readers[i])
		switch {
		case let == "" && digest.Hash != nil && slices.ContainsFunc(r.subjects, s.readers[i].Hides):
			digest.add(s.entries[i].Team) // that of all, which stands first, is hidden from them
			continue
		case let == "":
			continue
		case digest.Hash == nil:
			digest = s.versioner.begin("shown")
		}
		for _, field := range []string{s.entries[i].Team, s.entries[i].Version, let} {
			digest.add(field)
		}
	}
	if digest.Hash != nil {
		shown.Version = digest.String()
	}
	return shown, i
}

// letBy names those of the subjects that access lets; empty where that is none.
func (r *Readership) letBy(access *rule.Access) string {
	let, known := r.let[access]
	if known {
		return let
	}
	var digest digest
	for _, subject := range r.subjects {
		if !access.Lets(subject) {
			continue
		}
		if digest.Hash == nil {
			digest = r.snapshot.versioner.begin("subjects")
		}
		for _, field := range []string{subject.Namespace, subject.ServiceAccount, subject.Tenant, subject.DAG} {
			digest.add(field)
		}
	}
	if digest.Hash != nil {
		let = digest.String()
	}
	r.let[access] = let
	return let
}
