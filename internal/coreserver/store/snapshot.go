package store

import (
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Entry is one entry at one version. Its value comes out through Store alone, which
// opens what is sealed.
type Entry struct {
	Name    entry.Name
	Version string
	// Watched is the version as watchers see it: it differs whenever Version does, or
	// who may read the entry.
	Watched string
	// Invalid says why the entry cannot be served; empty where it can.
	Invalid string
	// Losses are what of the entry was lost in reading it, as by Airflow.
	Losses []string
	Origin Origin

	// value is a variable or, where whole is set, a connection sealed in one piece.
	value      secret.Text
	whole      bool
	connection airflow.Connection
}

// Origin is where an entry stands, for core's operator.
type Origin struct {
	File string
	Line int
}

func (o Origin) String() string { return o.File + ":" + strconv.Itoa(o.Line) }

// Size is about what the entry takes in bytes.
func (e Entry) Size() int {
	const others = 256 // names, versions and what holds them
	size := others + len(e.Name.ID) + e.value.Len()
	for _, field := range []*string{e.connection.Description, e.connection.Host, e.connection.Login, e.connection.Schema} {
		if field != nil {
			size += len(*field)
		}
	}
	for _, field := range []*secret.Text{e.connection.Password, e.connection.Extra} {
		if field != nil {
			size += field.Len()
		}
	}
	return size
}

// Format prints the name and the version, whatever the verb.
func (e Entry) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%s at %s", e.Name, e.Version)
}

// Snapshot is everything that core knew at one moment. It never changes.
type Snapshot struct {
	// Revision names the state: equal ones mean equal names and versions, as watched.
	Revision string
	Rules    rule.Set
	// Nameless are the entries so broken that nobody can ask for them.
	Nameless []Entry

	entries []Entry // ordered by name
	index   map[entry.Name]int
}

// newSnapshot takes ownership of entries.
func newSnapshot(entries []Entry, rules rule.Set, versioner Versioner) *Snapshot {
	s := &Snapshot{Rules: rules, index: make(map[entry.Name]int, len(entries))}
	slices.SortFunc(entries, func(a, b Entry) int { return entry.Compare(a.Name, b.Name) })
	for _, e := range entries {
		e.Version = versioner.version(e)
		if e.Name.ID == "" {
			s.Nameless = append(s.Nameless, e)
			continue
		}
		e.Watched = versioner.watched(e, rules.Readers(e.Name))
		s.index[e.Name] = len(s.entries)
		s.entries = append(s.entries, e)
	}
	s.Revision = versioner.revision(s.entries)
	return s
}

// Lookup finds an entry by its exact name.
func (s *Snapshot) Lookup(name entry.Name) (Entry, bool) {
	i, found := s.index[name]
	if !found {
		return Entry{}, false
	}
	return s.entries[i], true
}

// Has tells whether the snapshot holds e at its version. A nil snapshot holds nothing.
func (s *Snapshot) Has(e Entry) bool {
	if s == nil {
		return false
	}
	known, found := s.Lookup(e.Name)
	return found && known.Version == e.Version
}

// Len counts the entries.
func (s *Snapshot) Len() int { return len(s.entries) }

// All yields the entries in the order of their names.
func (s *Snapshot) All() iter.Seq[Entry] { return slices.Values(s.entries) }

// changedSince lists the names that are new, gone or at another version, as watched,
// than in older.
func (s *Snapshot) changedSince(older *Snapshot) []entry.Name {
	var changed []entry.Name
	for _, e := range s.entries {
		if before, found := older.Lookup(e.Name); !found || before.Watched != e.Watched {
			changed = append(changed, e.Name)
		}
	}
	for _, e := range older.entries {
		if _, found := s.index[e.Name]; !found {
			changed = append(changed, e.Name)
		}
	}
	return changed
}
