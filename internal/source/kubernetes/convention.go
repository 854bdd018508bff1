package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// The convention. An entry is a Secret of its own:
//
//   - its name is "connection-" or "variable-" and the id, in lower case and with "-"
//     for whatever the name of a Secret cannot have;
//   - its label kindLabel is "connection" or "variable";
//   - its annotation idAnnotation is the id, where that is not what follows the prefix;
//   - a connection is under the key "uri", under "json", or field by field under
//     Airflow's names of the fields; a variable is under "value".
const (
	kindLabel    = "secrets.csi.leoflow.io/kind"
	idAnnotation = "secrets.csi.leoflow.io/id"
	uriKey       = "uri"
	jsonKey      = "json"
	valueKey     = "value"
)

var (
	fieldKeys = []string{"conn_type", "description", "host", "login", "password", "schema", "port", "extra"}
	// plainKeys are those that no white space belongs to.
	plainKeys = []string{"conn_type", "host", "port"}
)

// errAnotherID: two ids may lead to one name, and the Secret has one of them.
var errAnotherID = errors.New("the Secret of that name is for another id")

// decode reads the entry of that name from the Secret that should hold it.
func (p *Provider) decode(name entry.Name, found *corev1.Secret) (entry.Entry, error) {
	if p.config.Rules.isAirflows(name.Kind, found.Labels) {
		if !p.config.Rules.isFor(name, found.ObjectMeta) {
			return entry.Entry{}, fmt.Errorf("%w, or for a team; see its labels", errAnotherID)
		}
		return p.decodeAirflow(name, found)
	}
	actual, ours := p.config.Rules.nameOf(found.ObjectMeta)
	switch {
	case !ours:
		return entry.Entry{}, fmt.Errorf("label %s: %s is missing from Secret %s; add it", kindLabel, name.Kind, found.Name)
	case actual != name:
		return entry.Entry{}, fmt.Errorf("%w; see its annotation %s", errAnotherID, idAnnotation)
	}
	for key, value := range found.Data {
		if !utf8.Valid(value) {
			return entry.Entry{}, fmt.Errorf("key %q of Secret %s is not UTF-8; store text", key, found.Name)
		}
	}
	if name.Kind == entry.Variable {
		return p.decodeVariable(name, found)
	}
	return p.decodeConnection(name, found)
}

func (p *Provider) decodeVariable(name entry.Name, found *corev1.Secret) (entry.Entry, error) {
	value, held := found.Data[valueKey]
	if !held {
		return entry.Entry{}, fmt.Errorf("key %q is missing from Secret %s; store the variable under it", valueKey, found.Name)
	}
	return entry.OfVariable(name.ID, secret.New(string(value)), p.versions.Of(name, string(value))), nil
}

func (p *Provider) decodeConnection(name entry.Name, found *corev1.Secret) (entry.Entry, error) {
	keys := slices.Sorted(maps.Keys(found.Data))
	parse := airflow.Parse
	text := ""
	switch {
	case slices.Equal(keys, []string{uriKey}):
		parse, text = airflow.ParseURI, strings.TrimSpace(string(found.Data[uriKey]))
	case slices.Equal(keys, []string{jsonKey}):
		text = string(found.Data[jsonKey])
	default:
		for _, key := range keys {
			if !slices.Contains(fieldKeys, key) {
				return entry.Entry{}, fmt.Errorf("key %q of Secret %s is unknown; store a connection under %q alone, under %q alone, or under Airflow's names of its fields",
					key, found.Name, uriKey, jsonKey)
			}
		}
		text = fieldsAsJSON(found.Data)
	}
	connection, err := parse(name.ID, text)
	if err != nil {
		return entry.Entry{}, fmt.Errorf("reading Secret %s: %w", found.Name, err)
	}
	return entry.OfConnection(connection, p.versions.Of(name, string(connection.JSON()))), nil
}

// fieldsAsJSON drops the line's end that a file has and that "--from-file" takes along,
// where it cannot be meant. A password is what it is.
func fieldsAsJSON(data map[string][]byte) string {
	fields := make(map[string]string, len(data))
	for key, value := range data {
		fields[key] = string(value)
		if slices.Contains(plainKeys, key) {
			fields[key] = strings.TrimSpace(fields[key])
		}
	}
	text, _ := json.Marshal(fields) // of text: cannot fail
	return string(text)
}
