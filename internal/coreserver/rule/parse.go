package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/leoflow/secrets-csi/internal/yamlline"
)

// Bounds of one file, and of all that a team has, so that no team's rules make each of its pods'
// calls dear.
const (
	MaxSize     = 1 << 20 // bytes; what a ConfigMap holds
	MaxPatterns = 1 << 14
	maxRules    = 1 << 12
	maxTeams    = 1 << 12
)

// Parse reads the admin's file. Errors begin with "file:line:"; all that can be told at
// once are joined.
func Parse(file string, content []byte) (File, error) { return parse(file, content, false) }

// ParseTeam reads the file of a team, of whichever; File.For says whether it may have what
// it says.
func ParseTeam(file string, content []byte) (File, error) { return parse(file, content, true) }

func parse(file string, content []byte, ofTeam bool) (File, error) {
	if len(content) > MaxSize {
		return File{}, fmt.Errorf("%s: is larger than %d bytes", file, MaxSize)
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return File{}, fmt.Errorf("%s:1: %s", file, noRules)
	case err != nil:
		return File{}, notYAML(file, content, err)
	}
	p := parser{file: file, ofTeam: ofTeam, patternsLeft: MaxPatterns}
	parsed := p.whole(document.Content[0])
	switch err := decoder.Decode(&second); {
	case err == nil:
		p.fault(&second, "more than one YAML document; want one")
	case !errors.Is(err, io.EOF):
		p.faults = append(p.faults, notYAML(file, content, err))
	}
	if len(p.faults) > 0 {
		return File{}, errors.Join(p.faults...)
	}
	return parsed, nil
}

const noRules = "no rules; 'rules: []' denies everything"

func notYAML(file string, content []byte, err error) error {
	line, reason := yamlline.Of(content, err)
	return fmt.Errorf("%s:%d: is not YAML: %s", file, line, reason)
}

// parser walks the YAML tree itself, because only its nodes know their lines.
type parser struct {
	file         string
	ofTeam       bool
	patternsLeft int
	faults       []error
}

// mostFaults are told at once.
const mostFaults = 50

func (p *parser) fault(at *yaml.Node, format string, args ...any) {
	p.faultAt(at.Line, format, args...)
}

func (p *parser) faultAt(line int, format string, args ...any) {
	if len(p.faults) < mostFaults {
		p.faults = append(p.faults, fmt.Errorf("%s:%d: %s", p.file, max(line, 1), fmt.Sprintf(format, args...)))
	}
}

func (p *parser) whole(node *yaml.Node) File {
	var parsed File
	found := false
	p.mapping(node, "the file", func(key, value *yaml.Node) bool {
		switch {
		case key.Value == "rules":
			found = true
			parsed.Rules = p.rules(key.Value, value)
		case key.Value == "deny":
			parsed.Deny = p.rules(key.Value, value)
		case key.Value == "teams" && !p.ofTeam:
			parsed.Teams = p.teams(value)
		case key.Value == "teams":
			p.fault(key, "teams: only the admin's own file says which there are")
		default:
			return false
		}
		return true
	})
	if !found && len(p.faults) == 0 {
		p.fault(node, noRules)
	}
	p.checkRules(parsed)
	return parsed
}

// checkRules finds rules about teams that there are not.
func (p *parser) checkRules(parsed File) {
	known := map[string]bool{"": true}
	for _, team := range parsed.Teams {
		known[team.Name] = true
	}
	for _, rule := range parsed.Rules {
		if !known[rule.Team] {
			p.faultAt(rule.Line, "team: there is no team %q", rule.Team)
		}
	}
}

func (p *parser) rules(field string, node *yaml.Node) []Rule {
	if node.Kind != yaml.SequenceNode {
		p.fault(node, "%s: want a list", field)
		return nil
	}
	if len(node.Content) > maxRules {
		p.fault(node, "%s: %d of them; at most %d", field, len(node.Content), maxRules)
		return nil
	}
	var rules []Rule
	for _, item := range node.Content {
		known := len(p.faults)
		rule := p.rule(item)
		if len(p.faults) == known {
			p.checkRule(item, rule, field == "deny")
		}
		rules = append(rules, rule)
	}
	return rules
}

func (p *parser) rule(node *yaml.Node) Rule {
	rule := Rule{File: p.file, Line: node.Line}
	fields := map[string]*Patterns{
		"namespaces": &rule.Namespaces, "serviceAccounts": &rule.ServiceAccounts,
		"tenants": &rule.Tenants, "dags": &rule.DAGs,
		"connections": &rule.Connections, "variables": &rule.Variables,
	}
	p.mapping(node, "a rule", func(key, value *yaml.Node) bool {
		field, found := fields[key.Value]
		switch {
		case found:
			*field = p.patterns(key.Value, value)
		case key.Value == "name":
			rule.Name = p.name(key.Value, value)
		case key.Value == "direct":
			rule.Direct = p.isTrue(key.Value, value)
		case key.Value == "team" && !p.ofTeam:
			rule.Team = p.name(key.Value, value)
		case key.Value == "team":
			p.fault(key, "team: the rules of a team's file are about that team's entries")
		default:
			return false
		}
		return true
	})
	rule.wild = rule.Connections.wild() + rule.Variables.wild()
	return rule
}

// checkRule checks what no single field can: that the rule has a subject of one sort and
// something to read.
func (p *parser) checkRule(node *yaml.Node, rule Rule, denies bool) {
	pod := len(rule.Namespaces) > 0 || len(rule.ServiceAccounts) > 0
	task := len(rule.Tenants) > 0 || len(rule.DAGs) > 0
	switch {
	case pod && task:
		p.fault(node, "rule is for pods (namespaces, serviceAccounts) and for task instances (tenants, dags); write two rules")
	case pod && (len(rule.Namespaces) == 0 || len(rule.ServiceAccounts) == 0):
		p.fault(node, `rule for pods needs both namespaces and serviceAccounts; ["*"] means any`)
	case task && (len(rule.Tenants) == 0 || len(rule.DAGs) == 0):
		p.fault(node, `rule for task instances needs both tenants and dags; ["*"] means any`)
	case !pod && !task && !denies:
		p.fault(node, "rule is for nobody; want namespaces and serviceAccounts, or tenants and dags")
	case denies && p.hasFaultOfDenial(node, rule):
	case len(rule.Connections) == 0 && len(rule.Variables) == 0:
		p.fault(node, "rule allows nothing; want connections, variables or both")
	}
}

// hasFaultOfDenial is about words that only a rule that lets read may have.
func (p *parser) hasFaultOfDenial(node *yaml.Node, rule Rule) bool {
	switch {
	case rule.Direct:
		p.fault(node, "direct: what is denied is denied however it is asked for; write no direct")
	case rule.Team != "":
		p.fault(node, "team: what is denied is denied of all teams' entries; write no team")
	default:
		return false
	}
	return true
}

func (p *parser) isTrue(field string, node *yaml.Node) bool {
	if node.Tag != "!!bool" {
		p.fault(node, "%s: want true or false", field)
		return false
	}
	var value bool
	_ = node.Decode(&value) // which the tag says that it is
	return value
}

func (p *parser) patterns(field string, node *yaml.Node) Patterns {
	if node.Kind != yaml.SequenceNode {
		p.fault(node, "%s: want a list of patterns", field)
		return nil
	}
	if p.patternsLeft -= len(node.Content); p.patternsLeft < 0 {
		p.fault(node, "%s: more than %d patterns in one file", field, MaxPatterns)
		return nil
	}
	var patterns Patterns
	for _, item := range node.Content {
		switch {
		case item.Kind != yaml.ScalarNode || item.Tag == "!!null":
			p.fault(item, "%s: want a pattern; quote it where it begins with *", field)
		case item.Value == "":
			p.fault(item, "%s: empty pattern", field)
		case strings.ContainsAny(item.Value, "?[]{}"):
			p.fault(item, "%s: pattern %q: only * is special; ?, [, ], { and } are not allowed", field, item.Value)
		default:
			patterns = append(patterns, Pattern(item.Value))
		}
	}
	return patterns
}

// mapping calls known for every pair of node, and faults the keys that it does not
// know and those written twice.
func (p *parser) mapping(node *yaml.Node, what string, known func(key, value *yaml.Node) bool) {
	if node.Kind != yaml.MappingNode {
		p.fault(node, "%s: want a mapping", what)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case seen[key.Value]:
			p.fault(key, "%s has %q twice", what, key.Value)
		case !known(key, value):
			p.fault(key, "%s has no key %q", what, key.Value)
		}
		seen[key.Value] = true
	}
}
