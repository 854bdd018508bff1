package rule

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// teamName is Airflow's own rule for a team's name, and Kubernetes's for a folder that a
// volume can hold: it begins with no dot and holds no slash.
var teamName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`)

// Admin is what the admin's own file is called among those of teams, and so no team is.
const Admin = "admin"

func (p *parser) teams(node *yaml.Node) []Team {
	switch {
	case node.Kind != yaml.SequenceNode:
		p.fault(node, "teams: want a list")
		return nil
	case len(node.Content) > maxTeams:
		p.fault(node, "teams: %d of them; at most %d", len(node.Content), maxTeams)
		return nil
	}
	var teams []Team
	for _, item := range node.Content {
		teams = append(teams, p.team(item))
	}
	if len(p.faults) == 0 {
		checkTeams(teams, p.faultAt)
	}
	return teams
}

func (p *parser) team(node *yaml.Node) Team {
	team := Team{Line: node.Line}
	known := len(p.faults)
	p.mapping(node, "a team", func(key, value *yaml.Node) bool {
		switch key.Value {
		case "name":
			team.Name = p.name(key.Value, value)
		case "namespaces":
			team.Namespaces = p.patterns(key.Value, value)
		case "tenants":
			team.Tenants = p.patterns(key.Value, value)
		case "sources":
			team.Sources = p.sources(value)
		default:
			return false
		}
		return true
	})
	if len(p.faults) == known {
		p.checkTeam(node, &team)
	}
	return team
}

func (p *parser) checkTeam(node *yaml.Node, team *Team) {
	switch {
	case team.Name == "":
		p.fault(node, "a team needs a name")
	case !teamName.MatchString(team.Name):
		p.fault(node, "team %q: a name is of letters, digits, - and _, at most 50 of them", team.Name)
	case team.Name == Admin:
		p.fault(node, "team %q: that is what the admin's own file is called; name it otherwise", team.Name)
	case len(team.Namespaces) == 0 && len(team.Tenants) == 0:
		p.fault(node, "team %q has nobody; want namespaces, tenants or both", team.Name)
	}
	if team.Sources == nil {
		team.Sources = []string{team.Name}
	}
}

// sources are names, not patterns: what falls under a pattern would be chosen by whoever
// names a file.
func (p *parser) sources(node *yaml.Node) []string {
	if node.Kind != yaml.SequenceNode {
		p.fault(node, "sources: want a list of names")
		return nil
	}
	sources := []string{}
	for _, item := range node.Content {
		name := p.name("sources", item)
		if name != "" && !teamName.MatchString(name) {
			p.fault(item, "sources: %q: a name is of letters, digits, - and _, at most 50 of them", name)
		}
		sources = append(sources, name)
	}
	return sources
}

func (p *parser) name(field string, node *yaml.Node) string {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" || node.Value == "" || len(node.Value) > maxName {
		p.fault(node, "%s: want a name, at most %d characters", field, maxName)
		return ""
	}
	// It is shown to whoever reviews rules, also on a terminal.
	if strings.ContainsFunc(node.Value, func(char rune) bool { return !strconv.IsPrint(char) }) {
		p.fault(node, "%s: %q holds what cannot be printed", field, node.Value)
		return ""
	}
	return node.Value
}

const maxName = 100
