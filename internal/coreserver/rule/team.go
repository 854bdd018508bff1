package rule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Team is whom the admin's file gives namespaces and sources.
type Team struct {
	Name string
	Line int
	// Namespaces are those whose pods are the team's, Tenants those whose task instances.
	Namespaces, Tenants Patterns
	// Sources are the names among the entries whose connections and variables are the
	// team's. Where the file says nothing that is the team's own name.
	Sources []string
}

// Named are the namespaces that the team has by their whole names.
func (t Team) Named() []string {
	var names []string
	for _, pattern := range t.Namespaces {
		if pattern.isExact() {
			names = append(names, string(pattern))
		}
	}
	return names
}

// Equal tells whether two teams have the same, wherever the file says so.
func (t Team) Equal(other Team) bool {
	return t.Name == other.Name && slices.Equal(t.Namespaces, other.Namespaces) &&
		slices.Equal(t.Tenants, other.Tenants) && slices.Equal(t.Sources, other.Sources)
}

func (t Team) has(subject Subject) bool {
	if subject.Tenant != "" {
		return t.Tenants.Match(subject.Tenant)
	}
	return subject.Namespace != "" && t.Namespaces.Match(subject.Namespace)
}

// Within is the part of pair that is the team's, as far as patterns can say it: "*" is all that
// the team has.
func (t Team) Within(pair Pair) []Pair {
	own := t.Namespaces
	if pair.Task {
		own = t.Tenants
	}
	var parts []Pair
	for _, pattern := range own {
		switch {
		case pair.First == "*" || pattern.isExact() && pair.First.Matches(string(pattern)):
			parts = append(parts, Pair{pair.Task, pattern, pair.Second, pair.Direct})
		case pattern.overlaps(pair.First):
			parts = append(parts, pair)
		}
	}
	return parts
}

// domain spells what makes a subject the team's.
func (t Team) domain() string {
	return string(t.Tenants.spell(append(t.Namespaces.spell(nil), ';')))
}

// File is what a rules file says. Teams are of the admin's file alone.
type File struct {
	Teams       []Team
	Rules, Deny []Rule
}

// Patterns counts those of all rules.
func (f File) Patterns() (count int) {
	for _, rules := range [][]Rule{f.Rules, f.Deny} {
		for _, rule := range rules {
			count += len(rule.Namespaces) + len(rule.ServiceAccounts) + len(rule.Tenants) + len(rule.DAGs) + len(rule.Connections) + len(rule.Variables)
		}
	}
	return count
}

// For is the file of a team, whose rules are about that team's entries. The error names
// every rule that reaches beyond the team.
func (f File) For(team Team) (File, error) {
	var faults []error
	own := File{Rules: slices.Clone(f.Rules), Deny: slices.Clone(f.Deny)}
	for _, rules := range [][]Rule{own.Rules, own.Deny} {
		for i := range rules {
			rules[i].Team = team.Name
			faults = append(faults, team.bounds(rules[i]))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return File{}, err
	}
	return own, nil
}

// bounds says what of a rule's subject can never be the team's.
func (t Team) bounds(rule Rule) error {
	for _, row := range []struct {
		word       string
		given, own Patterns
	}{
		{"namespace", rule.Namespaces, t.Namespaces},
		{"tenant", rule.Tenants, t.Tenants},
	} {
		for _, pattern := range row.given {
			if !row.own.overlap(pattern) {
				return fmt.Errorf("%s:%d: %s %q is not of team %q, and its file can let in none but its own",
					rule.File, rule.Line, row.word, pattern, t.Name)
			}
		}
	}
	return nil
}

// checkTeams finds what two teams both have.
func checkTeams(teams []Team, fault func(line int, format string, args ...any)) {
	names, sources := map[string]bool{}, map[string]string{}
	var namespaces, tenants claims
	for _, team := range teams {
		if names[team.Name] {
			fault(team.Line, "two teams are called %q; rename one", team.Name)
			continue
		}
		names[team.Name] = true
		for _, source := range team.Sources {
			if owner, taken := sources[source]; taken {
				fault(team.Line, "source %q is of team %q and of team %q; it can be of one", source, owner, team.Name)
			}
			sources[source] = team.Name
		}
		if other, pattern := namespaces.claim(team.Name, team.Namespaces); other != "" {
			fault(team.Line, "namespaces: %q of team %q may be of team %q too; a namespace can be of one", pattern, team.Name, other)
		}
		if other, pattern := tenants.claim(team.Name, team.Tenants); other != "" {
			fault(team.Line, "tenants: %q of team %q may be of team %q too; a tenant can be of one", pattern, team.Name, other)
		}
	}
}

// claims are the patterns that teams have so far.
type claims struct {
	exact map[Pattern]string
	wild  []claim
}

type claim struct {
	pattern Pattern
	team    string
}

// claim gives patterns to team. It returns the first that another team has a part of, and
// that team.
func (c *claims) claim(team string, patterns Patterns) (other string, pattern Pattern) {
	if c.exact == nil {
		c.exact = map[Pattern]string{}
	}
	for _, pattern := range patterns {
		if owner := c.owner(pattern); owner != "" && owner != team {
			return owner, pattern
		}
		if pattern.isExact() {
			c.exact[pattern] = team
		} else {
			c.wild = append(c.wild, claim{pattern, team})
		}
	}
	return "", ""
}

func (c *claims) owner(pattern Pattern) string {
	if pattern.isExact() {
		if owner := c.exact[pattern]; owner != "" {
			return owner
		}
	} else {
		for _, exact := range slices.Sorted(maps.Keys(c.exact)) { // so that one fault reads the same each time
			if pattern.Matches(string(exact)) {
				return c.exact[exact]
			}
		}
	}
	for _, each := range c.wild {
		if each.pattern.overlaps(pattern) {
			return each.team
		}
	}
	return ""
}
