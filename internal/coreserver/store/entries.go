package store

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/airflow/export"
)

// Bounds of what teams may have, as weight.cost reckons it, so that no team takes the memory
// of all. What belongs to all is the admin's, and bounded by file.
const (
	maxTeamFile = 1 << 20
	maxTeam     = 4 << 20
	maxTeams    = 24 << 20
)

// entries are the files of what belongs to all and, by team, of what does not.
type entries struct {
	rules      *rules
	versioner  Versioner
	room       room
	allowEmpty bool
	flags      []*file[[]Entry]
	// database is what Airflow's takes, whose entries are for all as those of flags are.
	database weight
	freed    bool              // of the room that teams do not share, since the last look
	tree     *tree[[]Entry]    // nil where there is no folder
	sources  map[string]string // the teams that have them
}

func newEntries(config Config, versioner Versioner, rules *rules) *entries {
	e := &entries{rules: rules, versioner: versioner, room: room{config.Memory}, allowEmpty: config.AllowEmpty}
	rules.entriesOf = func(team string) int { return e.tree.weightOf(team).entries }
	for _, given := range []struct{ path, kind string }{{config.Connections, kindConnections}, {config.Variables, kindVariables}} {
		if given.path == "" {
			continue
		}
		f := e.file(given.path, given.kind)
		f.open = openPath(given.path)
		e.forAll(f)
		e.flags = append(e.flags, f)
	}
	if config.Entries == "" {
		return e
	}
	folder := entriesFolder(path.Clean(config.Entries))
	e.tree = &tree[[]Entry]{
		folder: folder, teamOf: e.teamOf, move: e.move,
		about: Status{File: config.Entries, vital: true},
		files: map[string]*slot[[]Entry]{}, strays: map[string]*Status{},
		begin: func(one found) *file[[]Entry] {
			f := e.file(path.Join(folder.path, one.path), one.kind)
			f.open = folder.opener(one.path)
			if one.owner == "" {
				e.forAll(f)
			} else {
				f.limit, f.fits, f.admit = maxTeamFile, fitsTeam, e.admitterFor(f)
			}
			return f
		},
	}
	return e
}

func (e *entries) file(shown, kind string) *file[[]Entry] {
	parse := parseConnections
	if kind == kindVariables {
		parse = parseVariables
	}
	f := &file[[]Entry]{about: Status{File: shown, Kind: kind}, limit: export.MaxSize, loses: true, nothing: e.allowEmpty, weigh: weighEntries}
	f.parse = func(name string, content []byte) ([]Entry, error) {
		parsed, err := parse(name, content)
		for i := range parsed {
			parsed[i].belongTo(f.about.Team)
			parsed[i].Version = e.versioner.version(parsed[i])
		}
		if err == nil && len(parsed) > 0 && weighEntries(parsed, 0).entries == 0 {
			return nil, fmt.Errorf("%s: %s %q: %s", parsed[0].Origin, parsed[0].Name.Kind, "", parsed[0].Invalid)
		}
		return parsed, err
	}
	return f
}

// move gives what was read of a file to another team. It makes other entries, since snapshots have those.
func (e *entries) move(parsed []Entry, team string) []Entry {
	moved := slices.Clone(parsed)
	for i := range moved {
		if !moved[i].named {
			moved[i].Team = ""
		}
		moved[i].belongTo(team)
		moved[i].Version = e.versioner.version(moved[i])
	}
	return moved
}

// forAll makes f one of the files whose entries are for all, which core cannot start without.
func (e *entries) forAll(f *file[[]Entry]) {
	f.about.vital = true
	if f.limit = e.room.limit(f.limit); f.limit < export.MaxSize {
		f.tooLong = ", which is what core reads with " + e.room.String() + "; raise the memory limit of core's container"
	}
	f.fits = e.room.fits
	f.admit = func(before, after weight) error {
		more := after.minus(before)
		if more.cost() <= 0 {
			return nil
		}
		return e.room.admits(e.ofAll().plus(more), e.ofTeams())
	}
}

// ofAll is what the entries that are for all take.
func (e *entries) ofAll() weight {
	all := e.database
	for _, each := range e.flags {
		all = all.plus(each.weight)
	}
	return all.plus(e.tree.weightOf(""))
}

// ofTeams is what the entries of teams take together.
func (e *entries) ofTeams() (all weight) {
	if e.tree == nil {
		return all
	}
	for _, each := range e.tree.files {
		if each.owner != "" {
			all = all.plus(each.weight)
		}
	}
	return all
}

// admitDatabase puts the weight of Airflow's database in the place of what it had, if there is room.
func (e *entries) admitDatabase(after weight) error {
	more := after.minus(e.database)
	if more.cost() > 0 {
		if err := e.room.admits(e.ofAll().plus(more), e.ofTeams()); err != nil {
			return err
		}
	}
	e.freed = e.freed || more.cost() < 0
	e.database = after
	return nil
}

// weighEntries does not count what nobody can ask for. A value may be longer than it is written: a list
// is stored with an indent.
func weighEntries(parsed []Entry, size int) weight {
	var w weight
	for _, each := range parsed {
		w.bytes += each.ownSize()
		if each.Name.ID != "" {
			w.entries++
		}
	}
	w.bytes = max(w.bytes, size)
	return w
}

// teamOf knows the owner of a file as a source, and the empty one as what belongs to all.
func (e *entries) teamOf(owner string) (string, error) {
	if owner == "" {
		return "", nil
	}
	if team, known := e.sources[owner]; known {
		return team, nil
	}
	return "", fmt.Errorf("%q is a source of no team in the admin's file", owner)
}

// admitterFor keeps a team's files, and those of all teams, within bounds.
func (e *entries) admitterFor(f *file[[]Entry]) func(before, after weight) error {
	return func(before, after weight) error {
		team, more := f.about.Team, after.minus(before)
		own, all := more.plus(e.tree.weightOf(team)), more.plus(e.ofTeams())
		patterns := e.rules.tree.weightOf(team).patterns
		switch {
		case more.cost() <= 0 && more.entries <= 0:
			return nil
		case own.cost() > e.room.mostOfTeam():
			return fmt.Errorf("the entries of team %q take more than the %d KiB that a team has; an entry counts for %d bytes besides its own%s",
				team, e.room.mostOfTeam()>>10, entryCost, e.room.teamWants(own))
		case patterns*own.entries > maxTeamMatches:
			return tooManyMatches(team, patterns, own.entries)
		case all.cost() > maxTeams:
			return fmt.Errorf("the entries of all teams take more than the %d KiB that they have together", maxTeams>>10)
		default:
			return e.room.admitsTeams(all, e.ofAll())
		}
	}
}

func (e *entries) look(now time.Time) (changed bool) {
	changed = e.lookAtFlags(now, func(*file[[]Entry]) bool { return true })
	if e.tree == nil {
		return changed
	}
	e.sources = map[string]string{}
	for _, team := range e.rules.teams() {
		for _, source := range team.Sources {
			e.sources[source] = team.Name
		}
	}
	changed = e.tree.look(now, nil) || changed
	if e.freed && !e.tree.hasRoom {
		changed = e.tree.lookAtCrowded(now) || changed
	}
	e.freed = false
	if e.tree.hasRoom {
		changed = e.lookAtFlags(now, func(f *file[[]Entry]) bool { return f.crowded }) || changed
	}
	return changed
}

func (e *entries) lookAtFlags(now time.Time, which func(*file[[]Entry]) bool) (changed bool) {
	for _, each := range e.flags {
		if !which(each) {
			continue
		}
		if each.crowded {
			each.again()
		}
		before := each.weight
		changed = each.look(now) || changed
		e.freed = e.freed || each.weight.isLess(before)
	}
	return changed
}

// again is for another admin's file, by which an entry may be another team's.
func (e *entries) again() {
	for _, each := range e.flags {
		each.again()
	}
	if e.tree != nil {
		e.tree.again()
	}
}

// all are the entries in force, those of one id too.
func (e *entries) all() []*Entry {
	var all []*Entry
	for _, each := range e.flags {
		all = appendEach(all, each.value)
	}
	if e.tree != nil {
		for _, each := range e.tree.sorted() {
			all = appendEach(all, each.value)
		}
	}
	return all
}

// appendEach adds the entries of a file, which stay where they are.
func appendEach(all []*Entry, of []Entry) []*Entry {
	for i := range of {
		all = append(all, &of[i])
	}
	return all
}

// unknown says why core cannot tell what entries a team has, by team.
func (e *entries) unknown() map[string]string {
	if e.tree == nil {
		return nil
	}
	why := e.tree.unread()
	if e.allowEmpty {
		return why
	}
	have := map[string]bool{}
	for _, each := range e.tree.files {
		have[each.about.Team] = true
	}
	for _, team := range e.rules.teams() {
		if !have[team.Name] && why[team.Name] == "" && len(team.Sources) > 0 {
			why[team.Name] = fmt.Sprintf("%s: has no file of team %q; where that is meant, write \"sources: []\" at the team in the admin's file", e.tree.folder.path, team.Name)
		}
	}
	return why
}

func (e *entries) isUnsettled() bool {
	for _, each := range e.flags {
		if each.isUnsettled() {
			return true
		}
	}
	if e.tree != nil {
		for _, each := range e.tree.files {
			if each.isUnsettled() {
				return true
			}
		}
	}
	return false
}

func (e *entries) status() []*Status {
	var all []*Status
	for _, each := range e.flags {
		all = append(all, &each.about)
	}
	if e.tree != nil {
		all = append(all, e.tree.status()...)
	}
	return all
}

func (e *entries) paths() []string {
	var paths []string
	for _, each := range e.flags {
		paths = append(paths, each.about.File)
	}
	return paths
}

func (e *entries) folders() []string {
	if e.tree == nil {
		return nil
	}
	return e.tree.folders
}
