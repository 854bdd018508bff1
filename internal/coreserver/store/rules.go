package store

import (
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/regular"
)

// rules are the admin's file and, where they are a folder, those of teams.
type rules struct {
	admin *file[rule.File]
	tree  *tree[rule.File] // nil where rules are one file
	names map[string]rule.Team
	// entriesOf is how many entries a team has.
	entriesOf func(team string) int
}

func newRules(config Config) *rules {
	if info, err := os.Stat(config.Rules); err != nil || !info.IsDir() {
		r := &rules{admin: ruleFile(config.Rules, openPath(config.Rules), rule.Parse)}
		r.admin.about.vital = true
		return r
	}
	folder := rulesFolder(path.Clean(config.Rules))
	r := &rules{admin: ruleFile(path.Join(config.Rules, adminFile), folder.opener(adminFile), rule.Parse)}
	r.admin.about.vital = true
	r.tree = &tree[rule.File]{
		folder: folder, drops: true, teamOf: r.teamOf,
		about: Status{File: config.Rules, Kind: kindRules, vital: true},
		files: map[string]*slot[rule.File]{}, strays: map[string]*Status{},
		begin: func(one found) *file[rule.File] {
			f := ruleFile(path.Join(folder.path, one.path), folder.opener(one.path), r.parserFor(one.owner))
			f.fits, f.admit = fitsTeam, r.admitterFor(f)
			return f
		},
	}
	return r
}

// adminFile is the admin's own among those of teams.
const adminFile = rule.Admin + ".yaml"

func ruleFile(shown string, open func() (*os.File, error), parse func(string, []byte) (rule.File, error)) *file[rule.File] {
	return &file[rule.File]{
		about: Status{File: shown, Kind: kindRules}, open: open, parse: parse, limit: rule.MaxSize,
		weigh: func(value rule.File, size int) weight {
			return weight{size, len(value.Rules) + len(value.Deny), value.Patterns(), rule.File{Deny: value.Deny}.Patterns()}
		},
	}
}

// Bounds of a team's rules, and of all teams' together. A team's bytes are what one file may have.
const (
	maxTeamsRules    = 16 << 20
	maxTeamsPatterns = 1 << 18
	// maxTeamPatterns are gone through for each name that a pod of the team asks for.
	maxTeamPatterns = 1 << 11
	// maxTeamMatches bounds the patterns of a team's rules times its entries: each reload looks for
	// those of each that match, and remembers them.
	maxTeamMatches = 1 << 19
	// maxTeamDenied bounds the patterns under deny in a team's file. They are looked for in all entries
	// that are for all.
	maxTeamDenied = 1 << 8
)

// admitterFor keeps a team's files of rules, and those of all teams, within bounds.
func (r *rules) admitterFor(f *file[rule.File]) func(before, after weight) error {
	return func(before, after weight) error {
		team, more := f.about.Team, after.minus(before)
		own := more.plus(r.tree.weightOf(team))
		all := more
		for _, each := range r.tree.files {
			all = all.plus(each.weight)
		}
		switch entries := r.entriesOf(team); {
		case more.bytes <= 0 && more.patterns <= 0 && more.denied <= 0:
			return nil
		case own.bytes > rule.MaxSize || own.patterns > maxTeamPatterns:
			return fmt.Errorf("the rules of team %q take more than the %d KiB and %d patterns that a team has", team, rule.MaxSize>>10, maxTeamPatterns)
		case own.denied > maxTeamDenied:
			return fmt.Errorf("the rules of team %q have more than the %d patterns under deny that a team has", team, maxTeamDenied)
		case own.patterns*entries > maxTeamMatches:
			return tooManyMatches(team, own.patterns, entries)
		case all.bytes > maxTeamsRules || all.patterns > maxTeamsPatterns:
			return fmt.Errorf("the rules of all teams take more than the %d KiB and %d patterns that they have together", maxTeamsRules>>10, maxTeamsPatterns)
		default:
			return nil
		}
	}
}

func tooManyMatches(team string, patterns, entries int) error {
	return fmt.Errorf("the rules of team %q have %d patterns, and it has %d entries: one times the other may be %d; write fewer patterns, with * in them", team, patterns, entries, maxTeamMatches)
}

// openPath opens a file wherever it is. It waits for nobody, as opening a FIFO would.
func openPath(where string) func() (*os.File, error) {
	return func() (*os.File, error) { return regular.Open(where) }
}

func (r *rules) teams() []rule.Team { return r.admin.value.Teams }

// parserFor reads the file of a team, within what that has when it is read.
func (r *rules) parserFor(owner string) func(string, []byte) (rule.File, error) {
	return func(name string, content []byte) (rule.File, error) {
		parsed, err := rule.ParseTeam(name, content)
		if err != nil {
			return rule.File{}, err
		}
		return parsed.For(r.names[owner])
	}
}

func (r *rules) teamOf(owner string) (string, error) {
	if _, known := r.names[owner]; known {
		return owner, nil
	}
	return "", fmt.Errorf("there is no team %q in the admin's file", owner)
}

func (r *rules) look(now time.Time) (changed bool) {
	if r.admin.about.File == "" {
		return false
	}
	before := r.teams()
	changed = r.admin.look(now)
	if r.tree == nil {
		return changed
	}
	r.names = map[string]rule.Team{}
	for _, team := range r.teams() {
		r.names[team.Name] = team
	}
	if changed && !slices.EqualFunc(before, r.teams(), rule.Team.Equal) {
		r.tree.again()
	}
	// A folder that has lost the admin's own file has lost everything, by some accident.
	return r.tree.look(now, func(list listing) error {
		if !list.hasOwn {
			return fmt.Errorf("%s: has no %s, which says which teams there are", r.tree.folder.path, adminFile)
		}
		return nil
	}) || changed
}

func (r *rules) set() rule.Set {
	files := map[string]rule.TeamFile{}
	if r.tree == nil {
		return rule.NewSet(r.admin.value, files)
	}
	for owner, why := range r.tree.unread() {
		files[owner] = rule.TeamFile{Unknown: why}
	}
	for _, each := range r.tree.sorted() {
		own := files[each.owner]
		own.Rules = append(own.Rules, each.value.Rules...)
		own.Deny = append(own.Deny, each.value.Deny...)
		files[each.owner] = own
	}
	return rule.NewSet(r.admin.value, files)
}

func (r *rules) status() []*Status {
	switch {
	case r.admin.about.File == "":
		return nil
	case r.tree == nil:
		return []*Status{&r.admin.about}
	default:
		return append([]*Status{&r.admin.about}, r.tree.status()...)
	}
}

func (r *rules) paths() []string {
	if r.tree != nil || r.admin.about.File == "" {
		return nil
	}
	return []string{r.admin.about.File}
}

func (r *rules) folders() []string {
	if r.tree == nil {
		return nil
	}
	return r.tree.folders
}
