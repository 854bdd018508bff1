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
	"strings"

	"github.com/leoflow/secrets-csi/pkg/coreserver/entry"
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
	Namespaces      Patterns `json:"namespaces,omitempty"`
	ServiceAccounts Patterns `json:"serviceAccounts,omitempty"`
	Tenants         Patterns `json:"tenants,omitempty"`
	DAGs            Patterns `json:"dags,omitempty"`
	Connections     Patterns `json:"connections,omitempty"`
	Variables       Patterns `json:"variables,omitempty"`
}

func (r Rule) isFor(subject Subject) bool {
	if subject.Tenant != "" {
		return r.Tenants.Match(subject.Tenant) && r.DAGs.Match(subject.DAG)
	}
	return subject.Namespace != "" && r.Namespaces.Match(subject.Namespace) && r.ServiceAccounts.Match(subject.ServiceAccount)
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
	Rules []Rule `json:"rules"`
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
