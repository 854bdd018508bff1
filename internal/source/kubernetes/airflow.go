package kubernetes

import (
	"fmt"
	"net/http"
	"regexp"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// airflowForm is how Airflow's KubernetesSecretsBackend keeps entries: a Secret of any name, the
// id in a label, the value under one key.
type airflowForm struct {
	connections, variables airflowKind
	// team is the label of Secrets that are one team's; empty if there are none.
	team string
	// namespace is where the Secrets are; empty for the pod's own.
	namespace string
	// byLabel has the Secrets looked for by their labels, which takes the right to list them.
	byLabel bool
}

// airflowKind is a kind's: the label, empty if the kind is switched off, and the key.
type airflowKind struct{ label, key string }

// ofTeam is how Airflow spells ids of a team's entries in the environment; its backend gives none of them.
var ofTeam = regexp.MustCompile(`^_[^_]+___(?s:.+)$`)

func newAirflowForm(kwargs *store.Kwargs) *airflowForm {
	kind := func(prefix, label string) airflowKind {
		made := airflowKind{key: kwargs.Text(prefix+"s_data_key", valueKey)}
		made.label = labelOrOff(kwargs, prefix+"s_label", label)
		return made
	}
	made := &airflowForm{
		connections: kind("connection", "airflow.apache.org/connection-id"),
		variables:   kind("variable", "airflow.apache.org/variable-key"),
		namespace:   kwargs.Text("namespace", ""),
	}
	made.team = labelOrOff(kwargs, "team_label", "airflow.apache.org/team")
	kwargs.Ignore("config_label", "config_data_key")
	if made.namespace != "" && len(validation.IsDNS1123Label(made.namespace)) > 0 {
		kwargs.Mistake("namespace", "is no name of a namespace")
	}
	return made
}

// labelOrOff reads the key of a label; empty where it is null.
func labelOrOff(kwargs *store.Kwargs, option, otherwise string) string {
	label, off := kwargs.TextOrNull(option, otherwise)
	switch {
	case off:
		return ""
	case len(validation.IsQualifiedName(label)) > 0:
		kwargs.Mistake(option, "is no key of a label")
	}
	return label
}

// of is how a kind is kept; false where nothing of it is kept in this form.
func (f *airflowForm) of(kind entry.Kind) (airflowKind, bool) {
	if f == nil {
		return airflowKind{}, false
	}
	made := f.connections
	if kind == entry.Variable {
		made = f.variables
	}
	return made, made.label != ""
}

// cannotHold says why no Secret in Airflow's form can have the id; empty if one can.
func cannotHold(id string) string {
	switch {
	case len(validation.IsValidLabelValue(id)) > 0:
		return "no label can have the id, and Airflow's backend finds it by a label; store it by the convention of this driver"
	case ofTeam.MatchString(id):
		return "the id is one of a team's environment, which Airflow's backend does not give"
	}
	return ""
}

// selector selects the Secrets of a kind in Airflow's form, of all ids or of one. Those of teams
// are not among them, nor what is one of the convention's.
func (f *airflowForm) selector(kind airflowKind, id string) string {
	selected := kind.label
	if id != "" {
		selected += "=" + id
	}
	selected += ",!" + kindLabel
	if f.team != "" {
		selected += ",!" + f.team
	}
	return selected
}

// nameOf is false for Secrets that hold nothing of the kind in Airflow's form, or what is one team's.
func (f *airflowForm) nameOf(kind entry.Kind, labels map[string]string) (entry.Name, bool) {
	form, kept := f.of(kind)
	if !kept {
		return entry.Name{}, false
	}
	id, labelled := labels[form.label]
	_, teams := labels[f.team]
	return entry.Name{Kind: kind, ID: id}, labelled && !teams && cannotHold(id) == ""
}

// decodeAirflow reads the entry of that name from a Secret in Airflow's form.
func (p *Provider) decodeAirflow(name entry.Name, found *corev1.Secret) (entry.Entry, error) {
	form, _ := p.config.Rules.airflow.of(name.Kind)
	value, held := found.Data[form.key]
	switch {
	case !held:
		return entry.Entry{}, fmt.Errorf("key %q is missing from Secret %s; store the %s under it", form.key, found.Name, name.Kind)
	case !utf8.Valid(value):
		return entry.Entry{}, fmt.Errorf("key %q of Secret %s is not UTF-8; store text", form.key, found.Name)
	case name.Kind == entry.Variable:
		return entry.OfVariable(name.ID, secret.New(string(value)), p.versions.Of(name, string(value))), nil
	}
	connection, err := airflow.Parse(name.ID, string(value))
	if err != nil {
		return entry.Entry{}, fmt.Errorf("reading Secret %s: %w", found.Name, err)
	}
	return entry.OfConnection(connection, p.versions.Of(name, string(connection.JSON()))), nil
}

// looksByLabel reports whether an entry is to be looked for by its label: the Secret of its name is
// another's, or the pod does not get it.
func (c caller) looksByLabel(name entry.Name, found metav1.ObjectMeta, err error) bool {
	_, kept := c.config.Rules.airflow.of(name.Kind)
	if !kept || !c.config.Rules.airflow.byLabel {
		return false
	}
	if err != nil {
		return isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusForbidden)
	}
	return !c.config.Rules.isFor(name, found)
}

// byLabel is the entry whose id is in the label of a Secret. read tells how many have it, of two, and
// decode is of the one.
func (c caller) byLabel(name entry.Name, read func(selector string) (int, error), decode func() (entry.Entry, error)) (entry.Entry, error) {
	if reason := cannotHold(name.ID); reason != "" {
		return entry.Refused(name, entry.Missing, "the pod gets no Secret "+c.secretName(name)+" for this id; "+reason), nil
	}
	form, _ := c.config.Rules.airflow.of(name.Kind)
	count, err := read(c.config.Rules.airflow.selector(form, name.ID))
	label := form.label + "=" + name.ID
	switch {
	case isStatus(err, http.StatusForbidden):
		return entry.Refused(name, entry.Denied, fmt.Sprintf("the pod gets no Secret %s, and RBAC does not let it list Secrets, which is how the one with label %s is found; "+
			"let its service account list them, or give the driver a template of their names, so that get is enough", c.secretName(name), label)), nil
	case err != nil:
		return entry.Entry{}, err
	case count == 0:
		return entry.Refused(name, entry.Missing, fmt.Sprintf("no Secret has label %s and not %s, and the pod gets none named %s for this id", label, kindLabel, c.secretName(name))), nil
	case count > 1:
		return entry.Refused(name, entry.Invalid, fmt.Sprintf("more than one Secret has label %s; leave it on one", label)), nil
	}
	return decoded(name, decode)
}
