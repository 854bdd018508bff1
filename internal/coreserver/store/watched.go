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
func (s *Snapshot) access(e Entry, readers []string, spelled []byte) (*rule.Access, []byte) {
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

// Shown yields, in order, the names that any of the subjects may read of those that there are, and
// versions that differ whenever what they may read of them does.
func (s *Snapshot) Shown(subjects []rule.Subject) iter.Seq[Watched] {
	return func(yield func(Watched) bool) {
		for i := 0; i < len(s.entries); {
			shown, next := s.shownAt(i, subjects)
			i = next
			if shown.Version != "" && !yield(shown) {
				return
			}
		}
	}
}

// ShownAs is the version of a name as Shown has it; empty where there is none.
func (s *Snapshot) ShownAs(name entry.Name, subjects []rule.Subject) string {
	first, found := slices.BinarySearchFunc(s.entries, name, func(e Entry, name entry.Name) int { return entry.Compare(e.Name, name) })
	if !found {
		return ""
	}
	shown, _ := s.shownAt(first, subjects)
	return shown.Version
}

// shownAt is the name whose first entry is at i, and where the next name is.
func (s *Snapshot) shownAt(i int, subjects []rule.Subject) (shown Watched, next int) {
	shown.Name = s.entries[i].Name
	var digest digest
	for ; i < len(s.entries) && s.entries[i].Name == shown.Name; i++ {
		for _, subject := range subjects {
			if !s.readers[i].Lets(subject) {
				continue
			}
			if digest.Hash == nil {
				digest = s.versioner.begin("shown")
			}
			for _, field := range []string{s.entries[i].Team, s.entries[i].Version, subject.Namespace, subject.ServiceAccount, subject.Tenant, subject.DAG} {
				digest.add(field)
			}
		}
	}
	if digest.Hash != nil {
		shown.Version = digest.String()
	}
	return shown, i
}
