package rule

import (
	"slices"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Access is who may read one entry, without the rest of the rules, which it keeps from being forgotten
// with no pointer: others may remember it for long. It never changes.
type Access struct {
	spelled     string
	team        *Team // whose entry it is; nil for all
	allow, deny []limited
}

// limited is a rule as far as it is about a team's subjects, or about all where team is nil. With
// no rule it is about all of the team's: which of them it lets read is not known.
type limited struct {
	team *Team
	rule *Rule
}

func (l limited) isFor(subject Subject) bool {
	return (l.team == nil || l.team.has(subject)) && (l.rule == nil || l.rule.isForEverybody() || l.rule.isFor(subject))
}

// allows is isFor of a rule that lets read.
func (l limited) allows(subject Subject) bool {
	return l.isFor(subject) && (l.rule == nil || l.rule.Direct || !subject.Direct)
}

// Spelled is the same for two sets where the same subjects may read the entry, in whatever order
// their rules stand.
func (a *Access) Spelled() string { return a.spelled }

// Lets tells whether subject may read the entry, or may for all that is known. Nil lets nobody.
func (a *Access) Lets(subject Subject) bool {
	return a != nil && slices.ContainsFunc(a.allow, func(each limited) bool { return each.allows(subject) }) &&
		!slices.ContainsFunc(a.deny, func(each limited) bool { return each.isFor(subject) })
}

// Hides tells whether the entry stands before the one for all of its name, for subject: it is of its
// team, whether or not it may be read. Nil hides nothing.
func (a *Access) Hides(subject Subject) bool {
	return a != nil && a.team != nil && a.team.has(subject)
}

// Spell appends what Access.Spelled is for an entry of team with these Readers.
func Spell(into []byte, team string, readers []string) []byte {
	into = append(into, team...)
	for _, reader := range readers {
		into = append(append(into, 0), reader...)
	}
	return into
}

// Access says who may read name of team's entries, or of those of all where team is empty; they are
// spelled so.
func (s Set) Access(team string, name entry.Name, spelled string) *Access {
	access := &Access{spelled: spelled, deny: naming(nil, s.deny, name)}
	if team == "" {
		access.allow = naming(nil, s.shared, name)
		for _, each := range s.apart {
			access.deny = append(access.deny, naming(each, s.groups[each.Name].deny, name)...)
		}
		return access
	}
	for _, own := range s.apart {
		if own.Name == team {
			group := s.groups[team]
			access.team = own
			access.allow = naming(own, group.rules, name)
			if group.unknown != "" {
				access.allow = append(access.allow, limited{team: own})
			}
			access.deny = append(access.deny, naming(own, group.deny, name)...)
		}
	}
	return access
}

// Size is about how many bytes it takes.
func (a *Access) Size() int {
	size := len(a.spelled) + a.team.size()
	for _, each := range append(a.allow[:len(a.allow):len(a.allow)], a.deny...) {
		size += each.rule.size()
		if each.team != a.team {
			size += each.team.size()
		}
	}
	return size
}

// size is that of whom the rule is for; 0 for nil.
func (r *Rule) size() int {
	if r == nil {
		return 0
	}
	return r.Namespaces.size() + r.ServiceAccounts.size() + r.Tenants.size() + r.DAGs.size()
}

// size is 0 for nil.
func (t *Team) size() int {
	if t == nil {
		return 0
	}
	return t.Namespaces.size() + t.Tenants.size()
}

func (p Patterns) size() (size int) {
	const each = 16 // a string besides its bytes
	for _, pattern := range p {
		size += each + len(pattern)
	}
	return size
}

func naming(team *Team, rules []Rule, name entry.Name) (found []limited) {
	for i := range rules {
		if rules[i].names(name) {
			found = append(found, limited{team, rules[i].apart})
		}
	}
	return found
}
