package store

import (
	"regexp"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Naming is how Airflow's classes name what they read: a prefix for each kind, and the id.
type Naming struct {
	Connections, Variables Prefix
	// Join makes the name of a prefix and an id; a reason means that the store can have no secret
	// of that name.
	Join func(prefix, id string) (name, reason string)
	// Normal, where not nil, is how an id stands in a name.
	Normal func(id string) string
	// TeamsNeedPrefix: without a prefix there is no secret of a team.
	TeamsNeedPrefix bool
}

// Prefix is a kind's.
type Prefix struct {
	// Option is what backend_kwargs call it.
	Option string
	Text   string
	// Off has nothing of the kind asked for: the option is null.
	Off bool
	// Pattern, where not nil, has only ids asked for that begin with what it matches.
	Pattern *regexp.Regexp
}

// Of is the prefix of a kind.
func (n Naming) Of(kind entry.Kind) Prefix {
	if kind == entry.Variable {
		return n.Variables
	}
	return n.Connections
}

// Admits returns why an id is not asked for; empty if it is.
func (p Prefix) Admits(id string) (reason string) {
	switch {
	case p.Off:
		return "the driver does not ask this store: " + p.Option + " is null in its backend_kwargs"
	case p.Pattern != nil && !p.Pattern.MatchString(id):
		return "the driver does not ask this store: the id does not begin as " + p.patternOption() + " wants in its backend_kwargs"
	}
	return ""
}

func (p Prefix) patternOption() string {
	return strings.TrimSuffix(p.Option, "_prefix") + "_lookup_pattern"
}

// Names implements Store: a team's own secret comes before everybody's.
func (n Naming) Names(team Team, name entry.Name) (names []string, reason string) {
	prefix, id := n.Of(name.Kind), name.ID
	if n.Normal != nil {
		id = n.Normal(id)
	}
	reason = prefix.Admits(name.ID)
	if reason == "" && team.Apart && strings.Contains(id, teamSeparator) {
		reason = `the driver does not ask this store: the id has "--", which stands between a team and an id where teams are kept apart`
	}
	if reason != "" {
		return nil, reason
	}
	if team.Name != "" && (prefix.Text != "" || !n.TeamsNeedPrefix) {
		if made, impossible := n.Join(prefix.Text, team.Name+teamSeparator+name.ID); impossible == "" {
			names = append(names, made)
		}
	}
	made, reason := n.Join(prefix.Text, name.ID)
	if reason != "" {
		return names, reason
	}
	return append(names, made), ""
}

// Begins is what the names of a kind begin with; nothing of one that is switched off is listed.
func (n Naming) Begins(kind entry.Kind) (string, error) {
	prefix := n.Of(kind)
	if prefix.Off {
		return "", Unlisted(prefix.Admits(""))
	}
	begins, _ := n.Join(prefix.Text, "")
	return begins, nil
}

// IDs are those of the entries of a kind that have these names. A name from which the id does not
// follow is left out.
func (n Naming) IDs(kind entry.Kind, names []string) []string {
	begins, _ := n.Join(n.Of(kind).Text, "")
	var ids []string
	for _, name := range names {
		id, below := strings.CutPrefix(name, begins)
		if again, reason := n.Names(Team{}, entry.Name{Kind: kind, ID: id}); below && id != "" && reason == "" && again[0] == name {
			ids = append(ids, id)
		}
	}
	return ids
}
