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

// Parse reads a rules file. Errors begin with "file:line:"; all that can be told at
// once are joined.
func Parse(file string, content []byte) (Set, error) {
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return Set{}, fmt.Errorf("%s:1: no rules; 'rules: []' denies everything", file)
	case err != nil:
		return Set{}, notYAML(file, content, err)
	}
	p := parser{file: file}
	set := p.set(document.Content[0])
	switch err := decoder.Decode(&second); {
	case err == nil:
		p.fault(&second, "more than one YAML document; want one")
	case !errors.Is(err, io.EOF):
		p.faults = append(p.faults, notYAML(file, content, err))
	}
	if len(p.faults) > 0 {
		return Set{}, errors.Join(p.faults...)
	}
	return set, nil
}

func notYAML(file string, content []byte, err error) error {
	line, reason := yamlline.Of(content, err)
	return fmt.Errorf("%s:%d: is not YAML: %s", file, line, reason)
}

// parser walks the YAML tree itself, because only its nodes know their lines.
type parser struct {
	file   string
	faults []error
}

func (p *parser) fault(at *yaml.Node, format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("%s:%d: %s", p.file, max(at.Line, 1), fmt.Sprintf(format, args...)))
}

func (p *parser) set(node *yaml.Node) Set {
	var set Set
	found := false
	p.mapping(node, "the file", func(key, value *yaml.Node) bool {
		if key.Value != "rules" {
			return false
		}
		found = true
		if value.Kind != yaml.SequenceNode {
			p.fault(value, "rules: want a list")
			return true
		}
		for _, item := range value.Content {
			set.Rules = append(set.Rules, p.rule(item))
		}
		return true
	})
	if !found && len(p.faults) == 0 {
		p.fault(node, "no rules; 'rules: []' denies everything")
	}
	return set
}

func (p *parser) rule(node *yaml.Node) Rule {
	var rule Rule
	known := len(p.faults)
	fields := map[string]*Patterns{
		"namespaces": &rule.Namespaces, "serviceAccounts": &rule.ServiceAccounts,
		"tenants": &rule.Tenants, "dags": &rule.DAGs,
		"connections": &rule.Connections, "variables": &rule.Variables,
	}
	p.mapping(node, "a rule", func(key, value *yaml.Node) bool {
		field, found := fields[key.Value]
		if found {
			*field = p.patterns(key.Value, value)
		}
		return found
	})
	if len(p.faults) == known {
		p.whole(node, rule)
	}
	return rule
}

// whole checks what no single field can: that the rule has a subject of one sort and
// something to read.
func (p *parser) whole(node *yaml.Node, rule Rule) {
	pod := len(rule.Namespaces) > 0 || len(rule.ServiceAccounts) > 0
	task := len(rule.Tenants) > 0 || len(rule.DAGs) > 0
	switch {
	case pod && task:
		p.fault(node, "rule is for pods (namespaces, serviceAccounts) and for task instances (tenants, dags); write two rules")
	case pod && (len(rule.Namespaces) == 0 || len(rule.ServiceAccounts) == 0):
		p.fault(node, `rule for pods needs both namespaces and serviceAccounts; ["*"] means any`)
	case task && (len(rule.Tenants) == 0 || len(rule.DAGs) == 0):
		p.fault(node, `rule for task instances needs both tenants and dags; ["*"] means any`)
	case !pod && !task:
		p.fault(node, "rule is for nobody; want namespaces and serviceAccounts, or tenants and dags")
	case len(rule.Connections) == 0 && len(rule.Variables) == 0:
		p.fault(node, "rule allows nothing; want connections, variables or both")
	}
}

func (p *parser) patterns(field string, node *yaml.Node) Patterns {
	if node.Kind != yaml.SequenceNode {
		p.fault(node, "%s: want a list of patterns", field)
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
