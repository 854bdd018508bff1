package kubernetes

import (
	"fmt"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Rules say in which Secret an entry is, and in which form. The zero value is the convention of
// this project alone.
type Rules struct {
	connectionName, variableName Template
	// airflow is the form of Airflow's own backend; nil to serve none in that form.
	airflow *airflowForm
}

// Template makes the name of an entry's Secret of its id; empty for the convention's.
type Template string

const (
	connectionName Template = "connection-{id}"
	variableName   Template = "variable-{id}"
)

var nameTemplate = regexp.MustCompile(`^[a-z0-9.-]*\{id\}[a-z0-9.-]*$`)

// ParseTemplate reads a template, or nothing.
func ParseTemplate(text string) (Template, error) {
	if text != "" && !nameTemplate.MatchString(text) {
		return "", fmt.Errorf("%q is no template of a Secret's name; write {id} once, and beside it lower-case letters, digits, \".\" and \"-\"", text)
	}
	return Template(text), nil
}

// NewRules reads Airflow's backend_kwargs for its Kubernetes backend, empty to not serve what that one reads.
// With a template of either name the Secrets are found by their names alone, without one those in
// Airflow's form by their labels too.
func NewRules(kwargs string, connectionName, variableName Template) (Rules, error) {
	made := Rules{connectionName: connectionName, variableName: variableName}
	if kwargs == "" {
		return made, nil
	}
	parsed, err := store.ParseKwargs(kwargs)
	if err != nil {
		return Rules{}, err
	}
	made.airflow = newAirflowForm(parsed)
	made.airflow.byLabel = connectionName == "" && variableName == ""
	return made, parsed.Err()
}

// affixes are what stands before and after the id in the name of a Secret.
func (r Rules) affixes(kind entry.Kind) (before, after string) {
	template, otherwise := r.connectionName, connectionName
	if kind == entry.Variable {
		template, otherwise = r.variableName, variableName
	}
	if template == "" {
		template = otherwise
	}
	before, after, _ = strings.Cut(string(template), "{id}")
	return before, after
}

func (r Rules) secretName(name entry.Name) string {
	before, after := r.affixes(name.Kind)
	return before + strings.Map(func(char rune) rune {
		if char == '.' || char == '-' || '0' <= char && char <= '9' || 'a' <= char && char <= 'z' {
			return char
		}
		return '-'
	}, strings.ToLower(name.ID)) + after
}

// namespace is where the Secrets of a pod's namespace are.
func (r Rules) namespace(pods string) string {
	if r.airflow != nil && r.airflow.namespace != "" {
		return r.airflow.namespace
	}
	return pods
}

// nameOf is the entry of the convention that a Secret has; false for Secrets that are not ours.
func (r Rules) nameOf(meta metav1.ObjectMeta) (entry.Name, bool) {
	kind := entry.Kind(meta.Labels[kindLabel])
	if kind != entry.Connection && kind != entry.Variable {
		return entry.Name{}, false
	}
	before, after := r.affixes(kind)
	rest, begins := strings.CutPrefix(meta.Name, before)
	rest, ends := strings.CutSuffix(rest, after)
	if !begins || !ends {
		return entry.Name{}, false
	}
	if id, annotated := meta.Annotations[idAnnotation]; annotated {
		rest = id
	}
	return entry.Name{Kind: kind, ID: rest}, true
}

// isAirflows reports whether a Secret is in Airflow's form and not in the convention's.
func (r Rules) isAirflows(kind entry.Kind, labels map[string]string) bool {
	form, kept := r.airflow.of(kind)
	_, ours := labels[kindLabel]
	_, theirs := labels[form.label]
	return kept && theirs && !ours
}

// isFor reports whether a Secret holds that entry, in whichever form.
func (r Rules) isFor(name entry.Name, meta metav1.ObjectMeta) bool {
	actual, held := r.held(name.Kind, meta)
	return held && actual == name
}

// held is the entry of the kind that a Secret holds.
func (r Rules) held(kind entry.Kind, meta metav1.ObjectMeta) (entry.Name, bool) {
	if r.isAirflows(kind, meta.Labels) {
		return r.airflow.nameOf(kind, meta.Labels)
	}
	name, held := r.nameOf(meta)
	return name, held && name.Kind == kind
}

// selectors select the Secrets that may hold an entry of the kind.
func (r Rules) selectors(kind entry.Kind) []string {
	selectors := []string{kindLabel + "=" + string(kind)}
	if form, kept := r.airflow.of(kind); kept {
		selectors = append(selectors, r.airflow.selector(form, ""))
	}
	return selectors
}

// reached is the entry of the kind that a Secret holds, and whether it is the Secret that the entry is read from.
// One whose annotation has the id of another Secret's name would bring that one twice.
func (r Rules) reached(kind entry.Kind, meta metav1.ObjectMeta) (entry.Name, bool) {
	name, held := r.held(kind, meta)
	byLabel := r.isAirflows(kind, meta.Labels) && r.airflow.byLabel
	return name, held && (byLabel || r.secretName(name) == meta.Name)
}

var kinds = []entry.Kind{entry.Connection, entry.Variable}

// watched are the selectors that together select all Secrets that may hold an entry.
func (r Rules) watched() []string {
	selectors := []string{kindLabel + " in (connection, variable)"}
	for _, kind := range kinds {
		if form, kept := r.airflow.of(kind); kept {
			selectors = append(selectors, r.airflow.selector(form, ""))
		}
	}
	return selectors
}
