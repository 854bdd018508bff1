package store

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Entry is one entry at one version. Its value comes out through Store alone, which
// opens what is sealed.
type Entry struct {
	Name entry.Name
	// Team is whose the entry is; empty for all.
	Team    string
	Version string
	// Invalid says why the entry cannot be served; empty where it can.
	Invalid string
	// Losses are what of the entry was lost in reading it, as by Airflow.
	Losses []string
	Origin Origin

	// value is a variable or, where whole is set, a connection sealed in one piece.
	value secret.Text
	whole bool
	// asIs is set where nothing is sealed, whatever it looks like.
	asIs bool
	// named is set where the entry names its team itself.
	named      bool
	connection airflow.Connection
}

// belongTo gives the entry to the team whose file it stands in. In a file of what belongs to
// all, an entry may name its team itself, as Airflow's "team_name" does.
func (e *Entry) belongTo(team string) {
	if team == "" {
		return
	}
	if e.Team != "" && e.Team != team {
		e.Invalid = fmt.Sprintf("field \"team_name\": is %q, and stands in a file of team %q; remove it", e.Team, team)
	}
	e.Team = team
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
	return others + e.ownSize()
}

// ownSize is that of what the entry says.
func (e Entry) ownSize() int {
	size := len(e.Name.ID) + e.value.Len()
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

	entries []*Entry // ordered by name and then by team, that of all first; files have them, and nobody changes one
	index   map[place]int
	readers []*rule.Access // of entries, in their order; those that are the same are one
	known   map[string]*rule.Access
	watched []Watched // ordered by name
	// total and most are of sizesOf.
	total, most map[entry.Kind]int
	unknown     map[string]string
	versioner   Versioner
}

// place is what an entry is found by.
type place struct {
	team string
	name entry.Name
}

// newSnapshot takes ownership of entries, and leaves what they point to as it is. unknown says of teams, and of what belongs to all
// under the empty name, why it is not known which entries they have.
func newSnapshot(entries []*Entry, rules rule.Set, unknown map[string]string, versioner Versioner) *Snapshot {
	s := &Snapshot{Rules: rules, index: make(map[place]int, len(entries)), unknown: unknown, known: map[string]*rule.Access{}, versioner: versioner}
	slices.SortStableFunc(entries, func(a, b *Entry) int {
		return cmp.Or(entry.Compare(a.Name, b.Name), strings.Compare(a.Team, b.Team))
	})
	teams := map[string]bool{"": true}
	for _, team := range rules.Teams() {
		teams[team.Name] = true
	}
	s.entries = entries[:0] // in the same memory: what is kept is never ahead of what is read
	for _, e := range entries {
		if e.Name.ID == "" {
			s.Nameless = append(s.Nameless, *e)
			continue
		}
		if !teams[e.Team] {
			e = new(*e)
			e.Invalid = fmt.Sprintf("is of team %q, and there is no such team in the admin's file", e.Team)
			e.Version = versioner.version(*e)
		}
		s.add(e, versioner)
	}
	s.watch(versioner)
	s.total, s.most = sizesOf(s.entries)
	s.Revision = versioner.revision(s.watched)
	return s
}

// add takes an entry that another file has too for broken: which was meant is not ours to
// guess.
func (s *Snapshot) add(e *Entry, versioner Versioner) {
	at := place{e.Team, e.Name}
	known, twice := s.index[at]
	if !twice {
		s.index[at] = len(s.entries)
		s.entries = append(s.entries, e)
		return
	}
	first := s.entries[known]
	broken := Entry{
		Name: e.Name, Team: e.Team, Origin: first.Origin,
		Invalid: fmt.Sprintf("is given in %s and in %s; keep one", first.Origin, e.Origin),
	}
	broken.Version = versioner.version(broken)
	s.entries[known] = &broken
}

// Lookup finds an entry of a team, or of all where team is empty, by its exact name.
func (s *Snapshot) Lookup(team string, name entry.Name) (Entry, bool) {
	i, found := s.index[place{team, name}]
	if !found {
		return Entry{}, false
	}
	return *s.entries[i], true
}

// Named yields the entries of that name, of whichever teams.
func (s *Snapshot) Named(name entry.Name) iter.Seq[Entry] {
	first, _ := slices.BinarySearchFunc(s.entries, name, func(e *Entry, name entry.Name) int { return entry.Compare(e.Name, name) })
	return func(yield func(Entry) bool) {
		for _, e := range s.entries[first:] {
			if e.Name != name || !yield(*e) {
				return
			}
		}
	}
}

// MostSize is about what the entries of one kind take at most that so many callers may have: one
// has those of all, and those of the team that has the most.
func (s *Snapshot) MostSize(kind entry.Kind, callers int) int {
	return min(s.total[kind], callers*s.most[kind])
}

// sizesOf are what the entries of each kind take, in all and for the one caller who may have most.
func sizesOf(entries []*Entry) (total, most map[entry.Kind]int) {
	total, most = map[entry.Kind]int{}, map[entry.Kind]int{}
	byTeam := map[entry.Kind]map[string]int{}
	for _, e := range entries {
		if byTeam[e.Name.Kind] == nil {
			byTeam[e.Name.Kind] = map[string]int{}
		}
		byTeam[e.Name.Kind][e.Team] += e.Size()
		total[e.Name.Kind] += e.Size()
	}
	for kind, sizes := range byTeam {
		shared := sizes[""]
		delete(sizes, "")
		for _, size := range sizes {
			most[kind] = max(most[kind], size)
		}
		most[kind] += shared
	}
	return total, most
}

// Has tells whether the snapshot holds e at its version. A nil snapshot holds nothing.
func (s *Snapshot) Has(e Entry) bool {
	if s == nil {
		return false
	}
	known, found := s.Lookup(e.Team, e.Name)
	return found && known.Version == e.Version
}

// HasNameless tells whether the snapshot has such an entry at the place of e. A nil one has none.
func (s *Snapshot) HasNameless(e Entry) bool {
	return s != nil && slices.ContainsFunc(s.Nameless, func(known Entry) bool { return known.Origin == e.Origin && known.Invalid == e.Invalid })
}

// Len counts the entries.
func (s *Snapshot) Len() int { return len(s.entries) }

// Lost counts the entries of older that are no longer there.
func (s *Snapshot) Lost(older *Snapshot) (count int) {
	for at := range older.index {
		if _, still := s.index[at]; !still {
			count++
		}
	}
	return count
}

// Counts are the entries by kind.
func (s *Snapshot) Counts() map[entry.Kind]int {
	counts := map[entry.Kind]int{entry.Connection: 0, entry.Variable: 0}
	for _, e := range s.entries {
		counts[e.Name.Kind]++
	}
	return counts
}

// All yields the entries in the order of their names, those of teams too.
func (s *Snapshot) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, e := range s.entries {
			if !yield(*e) {
				return
			}
		}
	}
}
