// Package rule decides who may read what. Everything is denied that no rule allows.
//
// A rules file is YAML. The admin's own file says which teams there are and has rules for
// what belongs to all; a rule is for pods or for task instances, never for both:
//
//	teams:
//	- name: payments                      # has payments.yaml among the rules of teams
//	  namespaces: [payments, payments-*]  # whose pods are the team's
//	rules:
//	- namespaces: ["*"]                   # pods: by namespace
//	  serviceAccounts: [airflow-worker]   #   and service account
//	  connections: [warehouse, gcp_*]
//	  direct: true                        #   also where they ask themselves, without a driver
//	- tenants: [acme]                     # task instances: by the token's tenant
//	  dags: [billing_*]                   #   and DAG
//	  connections: [billing]
//	deny:                                 # wins over every rule
//	- connections: [leaked_db]            # without a subject: for everybody
//
// A team's file has rules and deny alone. Its rules let the team's own pods read the team's
// own entries, and nothing else.
//
// A pattern is a name in which "*" stands for any text, also none. Both patterns of a
// rule's subject must be there; "*" allows any. A rule that allows nothing, an unknown
// key and an empty pattern are errors.
package rule

import (
	"path/filepath"
	"strconv"

	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Subject is whom a decision is about: a pod, or a task instance where Tenant is set.
type Subject struct {
	Namespace, ServiceAccount string
	Tenant, DAG               string
	// Direct is set for one who asks without a driver, which only rules that say so let read.
	Direct bool
}

// Rule lets its subjects read its entries, or under deny keeps them from it.
type Rule struct {
	// Name is what the file calls the rule; where it calls it nothing, File and Line tell.
	Name string
	File string
	Line int
	// Team is whose entries the rule is about; empty for those of all.
	Team string
	// Direct lets its subjects read without a driver between, too.
	Direct bool

	Namespaces      Patterns
	ServiceAccounts Patterns
	Tenants         Patterns
	DAGs            Patterns
	Connections     Patterns
	Variables       Patterns
	wild            int // of the patterns of entries, those with a *
	// apart is whom the rule is for, and nothing else of its file; set in a Set.
	apart *Rule
}

// Label is what the rule is called where its file is no business of the reader's: its name, or
// the file's without the line, which an edit of another rule would change.
func (r Rule) Label() string {
	if r.Name != "" {
		return r.Name
	}
	return filepath.Base(r.File)
}

func (r Rule) String() string {
	place := r.File + ":" + strconv.Itoa(r.Line)
	if r.Name == "" {
		return place
	}
	return r.Name + " (" + place + ")"
}

// Pair is one pattern of each half of a rule's subject: a namespace's and a service account's,
// or where Task is set a tenant's and a DAG's.
type Pair struct {
	Task          bool
	First, Second Pattern
	// Direct is set for those who ask without a driver.
	Direct bool
}

func (p Pair) String() string {
	text := string(p.First) + "/" + string(p.Second)
	if p.Task {
		text = "task " + text
	}
	if p.Direct {
		return text + " without a driver"
	}
	return text
}

// Overlaps tells whether there is a subject of both.
func (p Pair) Overlaps(other Pair) bool {
	return p.Task == other.Task && p.First.overlaps(other.First) && p.Second.overlaps(other.Second)
}

// Pairs are the subjects of the rule one by one; those of everybody for a rule without any. Those who may
// ask without a driver are pairs besides.
func (r Rule) Pairs() []Pair {
	if r.isForEverybody() {
		return []Pair{{First: "*", Second: "*"}, {Task: true, First: "*", Second: "*"}}
	}
	pairs := pairsOf(false, r.Namespaces, r.ServiceAccounts)
	pairs = append(pairs, pairsOf(true, r.Tenants, r.DAGs)...)
	if r.Direct {
		for _, pair := range pairs {
			pair.Direct = true
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

func pairsOf(task bool, first, second Patterns) []Pair {
	var pairs []Pair
	for _, one := range first {
		for _, other := range second {
			pairs = append(pairs, Pair{Task: task, First: one, Second: other})
		}
	}
	return pairs
}

func (r Rule) isForEverybody() bool {
	return len(r.Namespaces)+len(r.ServiceAccounts)+len(r.Tenants)+len(r.DAGs) == 0
}

func (r Rule) isFor(subject Subject) bool {
	if subject.Tenant != "" {
		return r.Tenants.Match(subject.Tenant) && r.DAGs.Match(subject.DAG)
	}
	return subject.Namespace != "" && r.Namespaces.Match(subject.Namespace) && r.ServiceAccounts.Match(subject.ServiceAccount)
}

// allows is isFor of a rule that lets read: what is denied is denied to all ways of asking.
func (r Rule) allows(subject Subject) bool { return r.isFor(subject) && (r.Direct || !subject.Direct) }

// subject is a spelling of the rule's subject by which two rules can be compared.
func (r Rule) subject() string {
	var spelling []byte
	for _, patterns := range []Patterns{r.Namespaces, r.ServiceAccounts, r.Tenants, r.DAGs} {
		spelling = append(patterns.spell(spelling), ';')
	}
	if r.Direct {
		spelling = append(spelling, "direct"...)
	}
	return string(spelling)
}

func (p Patterns) spell(into []byte) []byte {
	for _, pattern := range p {
		into = append(strconv.AppendQuote(into, string(pattern)), ' ')
	}
	return into
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
