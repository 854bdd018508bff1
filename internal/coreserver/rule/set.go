package rule

import (
	"slices"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Set is all rules that are in force. The zero value denies everything. It never changes.
type Set struct {
	teams  []Team
	apart  []*Team         // the same one by one
	exact  map[Pattern]int // of teams, by the namespaces that they name in full
	shared []Rule
	deny   []Rule // for all subjects, of all teams' entries
	groups map[string]group
	direct bool // any rule is
}

// group is what is said about one team.
type group struct {
	rules, deny []Rule
	unknown     string
	domain      string // of the team's subjects, spelled
}

// TeamFile is what the file of one team says, as File.For gave it. Unknown is set where that
// was never read in good order, and says why.
type TeamFile struct {
	File
	Unknown string
}

// NewSet puts the admin's file and those of teams, by their names, together. A rule of the
// admin's that names a team stands as if it were in that team's file.
func NewSet(admin File, files map[string]TeamFile) Set {
	s := Set{teams: admin.Teams, deny: apart(admin.Deny), exact: map[Pattern]int{}, groups: map[string]group{}}
	for i, team := range admin.Teams {
		s.apart = append(s.apart, &Team{Name: team.Name, Namespaces: team.Namespaces, Tenants: team.Tenants})
		for _, pattern := range team.Namespaces {
			if pattern.isExact() {
				s.exact[pattern] = i
			}
		}
		own := files[team.Name]
		s.groups[team.Name] = group{apart(own.Rules), apart(own.Deny), own.Unknown, team.domain()}
	}
	for _, rule := range apart(admin.Rules) {
		if rule.Team == "" {
			s.shared = append(s.shared, rule)
			continue
		}
		group := s.groups[rule.Team]
		group.rules = append(group.rules, rule)
		s.groups[rule.Team] = group
	}
	s.direct = slices.ContainsFunc(s.shared, isDirect)
	for _, group := range s.groups {
		s.direct = s.direct || group.unknown != "" || slices.ContainsFunc(group.rules, isDirect)
	}
	return s
}

func isDirect(rule Rule) bool { return rule.Direct }

// HasDirect tells whether any rule lets anybody read without a driver between, as far as all are known.
func (s Set) HasDirect() bool { return s.direct }

// apart copies rules, each with whom it is for, and whether without a driver between.
func apart(rules []Rule) []Rule {
	rules = slices.Clone(rules)
	for i, each := range rules {
		rules[i].apart = &Rule{Namespaces: each.Namespaces, ServiceAccounts: each.ServiceAccounts, Tenants: each.Tenants, DAGs: each.DAGs, Direct: each.Direct}
	}
	return rules
}

// Len counts the rules, those under deny among them.
func (s Set) Len() int {
	count := len(s.shared) + len(s.deny)
	for _, group := range s.groups {
		count += len(group.rules) + len(group.deny)
	}
	return count
}

// Teams are those of the admin's file, in its order.
func (s Set) Teams() []Team { return s.teams }

// TeamOf is the name of the team that subject belongs to; empty for none.
func (s Set) TeamOf(subject Subject) string {
	if i, found := s.exact[Pattern(subject.Namespace)]; found && subject.Tenant == "" {
		return s.teams[i].Name
	}
	for _, team := range s.teams {
		if team.has(subject) {
			return team.Name
		}
	}
	return ""
}

// View is what the rules say about one subject.
type View struct {
	// Team is the subject's; empty for none.
	Team string
	// Unknown says why the team's own rules are not known; empty where they are.
	Unknown           string
	shared, own, deny []Rule
	// driven are those that let the subject read with a driver between, if it has none; drivenOwn those of its team.
	driven, drivenOwn []Rule
}

// For collects what the rules say about subject, so that a question about a name costs no
// more than the rules that are about that subject.
func (s Set) For(subject Subject) View {
	v := View{Team: s.TeamOf(subject)}
	group := s.groups[v.Team] // of none for no team
	v.shared, v.deny = about(subject, s.shared), denying(subject, s.deny)
	if subject.Direct {
		driven := subject
		driven.Direct = false
		v.driven, v.drivenOwn = about(driven, s.shared), about(driven, group.rules)
	}
	if v.Team != "" {
		v.own, v.Unknown = about(subject, group.rules), group.unknown
		v.deny = append(v.deny, denying(subject, group.deny)...)
	}
	return v
}

// Direct tells whether any rule lets subject read without a driver between, as far as its team's are known.
func (s Set) Direct(subject Subject) bool {
	subject.Direct = true
	view := s.For(subject)
	return len(view.shared)+len(view.own) > 0 || view.Unknown != ""
}

func about(subject Subject, rules []Rule) []Rule {
	var found []Rule
	for _, rule := range rules {
		if rule.allows(subject) {
			found = append(found, rule)
		}
	}
	return found
}

func denying(subject Subject, rules []Rule) []Rule {
	var found []Rule
	for _, rule := range rules {
		if rule.isForEverybody() || rule.isFor(subject) {
			found = append(found, rule)
		}
	}
	return found
}

// Wild counts the patterns with a * that a question about a name may have to go through.
func (v View) Wild() (count int) {
	for _, rules := range [][]Rule{v.shared, v.own, v.deny, v.driven, v.drivenOwn} {
		for _, rule := range rules {
			count += rule.wild
		}
	}
	return count
}

// Shared is the rule that lets the subject read an entry of all; nil where none does.
func (v View) Shared(name entry.Name) *Rule { return find(v.shared, name) }

// Own is the rule that lets the subject read an entry of its team.
func (v View) Own(name entry.Name) *Rule { return find(v.own, name) }

// WithDriver tells that a driver between would let the subject, who has none, read name.
func (v View) WithDriver(name entry.Name) bool {
	return find(v.driven, name) != nil || v.OwnWithDriver(name)
}

// OwnWithDriver tells it of an entry of the subject's team, which no rule about those of all lets read.
func (v View) OwnWithDriver(name entry.Name) bool { return find(v.drivenOwn, name) != nil }

// Denied is the rule that keeps the subject from name, whoever's that is.
func (v View) Denied(name entry.Name) *Rule { return find(v.deny, name) }

func find(rules []Rule, name entry.Name) *Rule {
	i := slices.IndexFunc(rules, func(rule Rule) bool { return rule.names(name) })
	if i < 0 {
		return nil
	}
	return &rules[i]
}

// About lists the rules that let anybody read name of team's entries, or of those of all where
// team is empty, and those that deny it to anybody.
func (s Set) About(team string, name entry.Name) (rules, deny []Rule) {
	rules = s.shared
	if team != "" {
		rules, deny = s.groups[team].rules, s.groups[team].deny
	} else {
		for _, each := range s.teams {
			deny = append(deny, s.groups[each.Name].deny...)
		}
	}
	isOther := func(rule Rule) bool { return !rule.names(name) }
	return slices.DeleteFunc(slices.Clone(rules), isOther), slices.DeleteFunc(slices.Concat(s.deny, deny), isOther)
}

// Readers spells out who may read name of team's entries, or of those of all where team is
// empty: the same for two sets where the same subjects may, in whatever order their rules
// stand.
func (s Set) Readers(team string, name entry.Name) []string {
	if team == "" {
		return s.sharedReaders(name)
	}
	group := s.groups[team]
	readers := append(spellAll("", group.rules, name), spellAll("!", group.deny, name)...)
	readers = append(append(readers, spellAll("!", s.deny, name)...), group.domain)
	if group.unknown != "" {
		readers = append(readers, "unknown")
	}
	slices.Sort(readers)
	return slices.Compact(readers)
}

func (s Set) sharedReaders(name entry.Name) []string {
	readers := append(spellAll("", s.shared, name), spellAll("!", s.deny, name)...)
	for _, group := range s.groups {
		readers = append(readers, spellAll("!"+group.domain, group.deny, name)...)
	}
	slices.Sort(readers)
	return slices.Compact(readers)
}

func spellAll(mark string, rules []Rule, name entry.Name) []string {
	var spelled []string
	for _, rule := range rules {
		if rule.names(name) {
			spelled = append(spelled, mark+rule.subject())
		}
	}
	return spelled
}
