// Package rule decides who may read what. Everything is denied that no rule allows,
// and a decision is taken by name alone, whether or not the entry exists, so that a
// refusal tells nothing of what core holds.
//
// A rules file is YAML. A rule is for pods or for task instances, never for both:
//
//	rules:
//	- namespaces: [team-a, team-a-*]      # pods: by namespace
//	  serviceAccounts: [airflow-worker]   #   and service account
//	  connections: [warehouse, gcp_*]
//	  variables: ["*"]
//	- tenants: [acme]                     # task instances: by the token's tenant
//	  dags: [billing_*]                   #   and DAG
//	  connections: [billing]
//
// A pattern is a name in which "*" stands for any text, also none. Both patterns of a
// rule's subject must be there; "*" allows any. A rule that allows nothing, an unknown
// key and an empty pattern are errors.
package rule

import (
	"slices"
	"strconv"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Pattern is a name in which "*" stands for any text.
type Pattern string

// Matches compares the whole of text, by case.
func (p Pattern) Matches(text string) bool {
	parts := strings.Split(string(p), "*")
	if len(parts) == 1 {
		return text == string(p)
	}
	rest, found := strings.CutPrefix(text, parts[0])
	if !found {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[last])
}

// Patterns match what any one of them matches.
type Patterns []Pattern

// Match tells whether any pattern matches text.
func (p Patterns) Match(text string) bool {
	for _, pattern := range p {
		if pattern.Matches(text) {
			return true
		}
	}
	return false
}

// Subject is whom a decision is about: a pod, or a task instance where Tenant is set.
type Subject struct {
	Namespace, ServiceAccount string
	Tenant, DAG               string
}

// Rule lets its subjects read its entries.
type Rule struct {
	Namespaces      Patterns
	ServiceAccounts Patterns
	Tenants         Patterns
	DAGs            Patterns
	Connections     Patterns
	Variables       Patterns
}

func (r Rule) isFor(subject Subject) bool {
	if subject.Tenant != "" {
		return r.Tenants.Match(subject.Tenant) && r.DAGs.Match(subject.DAG)
	}
	return subject.Namespace != "" && r.Namespaces.Match(subject.Namespace) && r.ServiceAccounts.Match(subject.ServiceAccount)
}

// subject is a spelling of the rule's subject by which two rules can be compared.
func (r Rule) subject() string {
	var spelling []byte
	for _, patterns := range []Patterns{r.Namespaces, r.ServiceAccounts, r.Tenants, r.DAGs} {
		for _, pattern := range patterns {
			spelling = append(strconv.AppendQuote(spelling, string(pattern)), ' ')
		}
		spelling = append(spelling, ';')
	}
	return string(spelling)
}

func (r Rule) names(name entry.Name) bool {
	switch name.Kind {
	case entry.Connection:
		return r.Connections.Match(name.ID)
	case entry.Variable:
		return r.Variables.Match(name.ID)
	default:
		return false
	}
}

// Set is a file of rules. The zero value denies everything.
type Set struct {
	Rules []Rule
}

// Readers spells out who may read name: the same for two sets where the same subjects
// may, in whatever order their rules stand.
func (s Set) Readers(name entry.Name) []string {
	var readers []string
	for _, rule := range s.Rules {
		if rule.names(name) {
			readers = append(readers, rule.subject())
		}
	}
	slices.Sort(readers)
	return slices.Compact(readers)
}

// CanRead tells whether any rule lets subject read name, which need not exist.
func (s Set) CanRead(subject Subject, name entry.Name) bool {
	for _, rule := range s.Rules {
		if rule.isFor(subject) && rule.names(name) {
			return true
		}
	}
	return false
}
