package store

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func newVersioner(t testing.TB, shared string) Versioner {
	v, err := NewVersioner(secret.New(shared))
	require.NoError(t, err)
	return v
}

func fullEntry() Entry {
	description, host, login, schema, port := "d", "h", "l", "s", uint16(1)
	password, extra := secret.New("p"), secret.New("{}")
	return Entry{Name: entry.Name{Kind: entry.Connection, ID: "id"}, connection: airflow.Connection{
		ID: "id", Type: "t", Description: &description, Host: &host, Login: &login,
		Password: &password, Schema: &schema, Port: &port, Extra: &extra,
	}}
}

func TestVersionDiffersWheneverAFieldDoes(t *testing.T) {
	empty, text, none, zero := "", "x", secret.New(""), uint16(0)
	versioner := newVersioner(t, "shared")
	seen := map[string]string{versioner.version(fullEntry()): "as it was"}
	for name, change := range map[string]func(*Entry){
		"kind":               func(e *Entry) { e.Name.Kind = entry.Variable },
		"id":                 func(e *Entry) { e.Name.ID = "ID" },
		"invalid":            func(e *Entry) { e.Invalid = "why" },
		"value":              func(e *Entry) { e.value = secret.New("v") },
		"type":               func(e *Entry) { e.connection.Type = "T" },
		"description absent": func(e *Entry) { e.connection.Description = nil },
		"description empty":  func(e *Entry) { e.connection.Description = &empty },
		"host absent":        func(e *Entry) { e.connection.Host = nil },
		"host empty":         func(e *Entry) { e.connection.Host = &empty },
		"host":               func(e *Entry) { e.connection.Host = &text },
		"login absent":       func(e *Entry) { e.connection.Login = nil },
		"login empty":        func(e *Entry) { e.connection.Login = &empty },
		"schema absent":      func(e *Entry) { e.connection.Schema = nil },
		"schema empty":       func(e *Entry) { e.connection.Schema = &empty },
		"password absent":    func(e *Entry) { e.connection.Password = nil },
		"password empty":     func(e *Entry) { e.connection.Password = &none },
		"extra absent":       func(e *Entry) { e.connection.Extra = nil },
		"extra empty":        func(e *Entry) { e.connection.Extra = &none },
		"port absent":        func(e *Entry) { e.connection.Port = nil },
		"port 0":             func(e *Entry) { e.connection.Port = &zero },
		"host and login swapped": func(e *Entry) {
			e.connection.Host, e.connection.Login = e.connection.Login, e.connection.Host
		},
	} {
		changed := fullEntry()
		change(&changed)
		version := versioner.version(changed)
		assert.Empty(t, seen[version], "%s gives the version of another", name)
		seen[version] = name
	}
}

func TestVersionIsStableAndKeyed(t *testing.T) {
	version := newVersioner(t, "shared").version(fullEntry())
	assert.Equal(t, version, newVersioner(t, "shared").version(fullEntry()), "on any replica")
	assert.NotEqual(t, version, newVersioner(t, "another").version(fullEntry()), "without the key nothing can be guessed")
	assert.Len(t, version, 22)

	elsewhere := fullEntry()
	elsewhere.Origin = Origin{"another.json", 7}
	assert.Equal(t, version, newVersioner(t, "shared").version(elsewhere), "where it stands is no part of it")
}
