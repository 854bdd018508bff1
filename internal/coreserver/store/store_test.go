package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func connection(id string) entry.Name { return entry.Name{Kind: entry.Connection, ID: id} }

// write puts files, given as name, content, name, content, into directory.
func write(t testing.TB, directory string, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		require.NoError(t, os.WriteFile(filepath.Join(directory, pairs[i]), []byte(pairs[i+1]), 0o600))
	}
}

func newStore(t testing.TB, pairs ...string) (*Store, string) {
	directory := t.TempDir()
	write(t, directory, "connections.json", `{"db": "postgres://u:p@h/s"}`, "variables.yaml", "env: prod\n", "rules.yaml", "rules: []\n")
	write(t, directory, pairs...)
	store, err := New(configOf(directory, nil, newVersioner(t, "shared")))
	require.NoError(t, err)
	return store, directory
}

func configOf(directory string, key *seal.Key, versioner Versioner) Config {
	return Config{
		Connections: filepath.Join(directory, "connections.json"),
		Variables:   filepath.Join(directory, "variables.yaml"),
		Rules:       filepath.Join(directory, "rules.yaml"),
		SealKey:     key, Versioner: versioner,
	}
}

func open(t testing.TB, store *Store, name entry.Name) (Value, error) {
	e, found := store.Current().Lookup("", name)
	require.True(t, found, "%s", name)
	return store.Open(e)
}

func TestNewNamesEveryFileThatIsWrong(t *testing.T) {
	directory := t.TempDir()
	write(t, directory, "connections.json", "{", "variables.yaml", "- a\n", "rules.yaml", "rules:\n- {}\n")
	_, err := New(configOf(directory, nil, Versioner{}))
	assert.ErrorContains(t, err, "connections.json:1: ")
	assert.ErrorContains(t, err, "variables.yaml:1: ")
	assert.ErrorContains(t, err, "rules.yaml:2: ")

	require.NoError(t, os.Remove(filepath.Join(directory, "variables.yaml")))
	_, err = New(configOf(directory, nil, Versioner{}))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestABrokenEntryIsInvalidAndSpoilsNoOther(t *testing.T) {
	store, _ := newStore(t, "connections.json", `{"db": "postgres://h",
"bad": {"conn_type": "x", "port": 99999},
"twice": "a://h", "twice": "b://h"}`)
	_, err := open(t, store, connection("bad"))
	assert.EqualError(t, err, `field "port": must be a whole number from 0 to 65535`)
	_, err = open(t, store, connection("twice"))
	assert.ErrorContains(t, err, "is given more than once")
	bad, _ := store.Current().Lookup("", connection("bad"))
	assert.True(t, strings.HasSuffix(bad.Origin.String(), "connections.json:2"), bad.Origin)
	value, err := open(t, store, connection("db"))
	require.NoError(t, err)
	assert.Equal(t, "h", *value.Connection.Host)
}

func TestAnEntryWithoutANameIsSetAside(t *testing.T) {
	directory := t.TempDir()
	write(t, directory, "variables.env", "good=1\nn33dle\n=2\n")
	store, err := New(Config{Variables: filepath.Join(directory, "variables.env")})
	require.NoError(t, err)
	assert.Equal(t, 1, store.Current().Len())
	assert.Len(t, store.Current().Nameless, 2)
}

func TestReload(t *testing.T) {
	store, directory := newStore(t)
	first := store.Current()

	changed, err := store.Reload()
	require.NoError(t, err)
	assert.False(t, changed, "nothing was written")

	write(t, directory, "variables.yaml", "env: test\n")
	changed, err = store.Reload()
	require.NoError(t, err)
	assert.True(t, changed)
	value, err := open(t, store, variable("env"))
	require.NoError(t, err)
	assert.Equal(t, "test", value.Text.Reveal())

	write(t, directory, "variables.yaml", "env: prod   # as before\n")
	_, err = store.Reload()
	require.NoError(t, err)
	assert.Equal(t, first.Revision, store.Current().Revision, "equal states have equal revisions")
}

func TestABadFileKeepsWhatWasGoodAndStopsNoOther(t *testing.T) {
	store, directory := newStore(t)
	write(t, directory, "connections.json", "{\n\"db\": n33dle", "variables.yaml", "env: test\n")
	changed, err := store.Reload()
	assert.ErrorContains(t, err, "connections.json:2: ")
	assert.NotContains(t, err.Error(), "n33dle")
	assert.True(t, changed, "the variables are new")
	_, err = open(t, store, connection("db"))
	assert.NoError(t, err)

	_, err = store.Reload()
	assert.NoError(t, err, "one fault is told once")

	require.NoError(t, os.Remove(filepath.Join(directory, "connections.json")))
	_, err = store.Reload()
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = store.Reload()
	assert.NoError(t, err, "one fault is told once")
	_, err = open(t, store, connection("db"))
	assert.NoError(t, err)

	write(t, directory, "connections.json", `{"db": "mysql://h"}`)
	_, err = store.Reload()
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(directory, "connections.json")))
	_, err = store.Reload()
	assert.ErrorIs(t, err, os.ErrNotExist, "another time is another fault")

	write(t, directory, "connections.json", `{"db": "oracle://h"}`)
	changed, err = store.Reload()
	require.NoError(t, err)
	assert.True(t, changed)
	value, err := open(t, store, connection("db"))
	require.NoError(t, err)
	assert.Equal(t, "oracle", value.Connection.Type)
}

func TestOpenSealed(t *testing.T) {
	key, err := seal.ParseKey(secret.New("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	require.NoError(t, err)
	at := func(name entry.Name, field, value string) string {
		place := seal.Place{Name: name, Field: field}
		if field != seal.Whole {
			place.Of.Type = "x"
		}
		return key.Seal(place, secret.New(value))
	}
	whole := at(connection("whole"), seal.Whole, "postgres://u:n33dle@h")
	directory := t.TempDir()
	write(t, directory, "connections.json", `{
"whole": "`+whole+`",
"fields": {"conn_type": "x", "password": "`+at(connection("fields"), "password", "n33dle")+`", "extra": "`+at(connection("fields"), "extra", `{"k":1}`)+`"},
"moved": "`+whole+`",
"swapped": {"conn_type": "x", "password": "`+at(connection("swapped"), "extra", `{}`)+`"},
"no object": {"conn_type": "x", "extra": "`+at(connection("no object"), "extra", "{n33dle")+`"},
"no connection": "`+at(connection("no connection"), seal.Whole, "n33dle")+`"
}`, "variables.yaml", "env: "+at(variable("env"), seal.Whole, "n33dle")+"\ncut: "+seal.Marker+"AAAA\n", "rules.yaml", "rules: []")
	store, err := New(configOf(directory, key, newVersioner(t, "shared")))
	require.NoError(t, err)

	value, err := open(t, store, connection("whole"))
	require.NoError(t, err)
	assert.Equal(t, "n33dle", value.Connection.Password.Reveal())
	value, err = open(t, store, connection("fields"))
	require.NoError(t, err)
	assert.Equal(t, "n33dle", value.Connection.Password.Reveal())
	assert.Equal(t, `{"k":1}`, value.Connection.Extra.Reveal())
	value, err = open(t, store, variable("env"))
	require.NoError(t, err)
	assert.Equal(t, "n33dle", value.Text.Reveal())

	for name, message := range map[entry.Name]string{
		connection("moved"):         seal.ErrUnopened.Error(),
		connection("swapped"):       `field "password": ` + seal.ErrUnopened.Error(),
		connection("no object"):     `field "extra"`,
		connection("no connection"): "",
		variable("cut"):             seal.ErrMalformed.Error(),
	} {
		_, err := open(t, store, name)
		if assert.ErrorContains(t, err, message, name) {
			assert.NotContains(t, err.Error(), "n33dle", name)
		}
	}

	keyless, err := New(configOf(directory, nil, newVersioner(t, "shared")))
	require.NoError(t, err)
	_, err = open(t, keyless, connection("whole"))
	assert.ErrorIs(t, err, errNoKey)
	assert.Equal(t, store.Current().Revision, keyless.Current().Revision, "versions need no key to open with")
}

func TestSnapshotIsOrderedAndPrintsNoValue(t *testing.T) {
	store, _ := newStore(t, "variables.yaml", "b: n33dle\na: n33dle\n")
	var names []string
	for e := range store.Current().All() {
		names = append(names, e.Name.String())
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			assert.NotContains(t, fmt.Sprintf(verb, e), "n33dle")
		}
	}
	assert.True(t, slices.IsSorted(names), names)
}
