package vault

import (
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/internal/jsontext"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Connection implements store.Store: a URI under "conn_uri", or Airflow's names of the fields.
func (*Vault) Connection(id string, kept secret.Text) (airflow.Connection, error) {
	uri, found, err := memberOf(kept, "conn_uri")
	switch {
	case err != nil:
		return airflow.Connection{}, err
	case !found, isFalse(uri):
		return airflow.ParseJSON(id, []byte(kept.Reveal()))
	}
	text := ""
	if uri.Value[0] == '"' {
		text, err = uri.Text()
	}
	if err != nil || text == "" {
		return airflow.Connection{}, errors.New(`the secret's key "conn_uri" is not text; store a URI under it`)
	}
	return airflow.Parse(id, text)
}

// Variable implements store.Store. Airflow gives what is no text as it is; a volume holds text, and
// so that is JSON.
func (*Vault) Variable(kept secret.Text) (secret.Text, error) {
	value, found, err := memberOf(kept, "value")
	switch {
	case err != nil:
		return secret.Text{}, err
	case !found, string(value.Value) == "null":
		return secret.Text{}, errors.New(`the secret has no key "value"; store the variable under it`)
	case value.Value[0] != '"':
		return secret.New(string(value.AppendCompact(nil))), nil
	}
	text, err := value.Text()
	if err != nil {
		return secret.Text{}, errors.New(`the secret's key "value" is no text that can be read; store it anew`)
	}
	return secret.New(text), nil
}

// memberOf is what the secret has under a key.
func memberOf(kept secret.Text, key string) (value jsontext.Item, found bool, err error) {
	object, err := jsontext.Parse([]byte(kept.Reveal()))
	if err != nil {
		return value, false, err
	}
	members, err := object.Members()
	at := slices.IndexFunc(members, func(one jsontext.Member) bool { return one.Key == key })
	if at >= 0 {
		value = members[at].Item
	}
	return value, at >= 0, err
}

// isFalse is what Python takes for false, of what a URI may be.
func isFalse(value jsontext.Item) bool {
	return slices.Contains([]string{`""`, "null", "false", "0", "[]", "{}"}, string(value.Value))
}
