package sealfile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/airflow/export"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func newKey(t testing.TB) *seal.Key {
	key, err := seal.ParseKey(secret.New("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	require.NoError(t, err)
	return key
}

func revealed(text *secret.Text) string {
	if text == nil {
		return ""
	}
	return text.Reveal()
}

func TestSealingTouchesSecretsAlone(t *testing.T) {
	key := newKey(t)
	for file, row := range map[string]struct{ before, after string }{
		"c.json": {
			"{ \"a\" :\t\"x://u:n33dle@h\",\n  \"b\":{\"conn_type\":\"x\", \"extra\" : {\"k\":[\"n33dle\"]} ,\"host\":\"h\"} }\n",
			"{ \"a\" :\tS,\n  \"b\":{\"conn_type\":\"x\", \"extra\" : S ,\"host\":\"h\"} }\n",
		},
		"escaped.json": {`{"\u0061": "n33dle://h", "b": {"conn_type": "x", "p\u0061ssword": "n33dle"}}`, `{"\u0061": S, "b": {"conn_type": "x", "p\u0061ssword": S}}`},
		"c.yaml":       {"# top\na: x://u:n33dle@h # tail\nb:\n  conn_type: x\n  password: n33dle\n", "# top\na: S # tail\nb:\n  conn_type: x\n  password: S\n"},
		"block.yml":    {"b:\n  conn_type: x\n  extra: >-\n    {\"k\":\n    \"n33dle\"}\n  host: h\n", "b:\n  conn_type: x\n  extra: S\n  host: h\n"},
		"empty.json":   {"{}", "{}"},
		"python.json":  {`{"b": {"conn_type": "x", "port": 1, "extra": {"k": [NaN, "n33dle"]}}}`, `{"b": {"conn_type": "x", "port": 1, "extra": S}}`},
		"mark.json":    {"\ufeff{\"a\": \"n33dle://h\"}", `{"a": S}`},
		"mark.yaml":    {"\ufeffa: n33dle://h\n", "a: S\n"},
	} {
		sealed, err := Connections(key, file, []byte(row.before))
		require.NoError(t, err, file)
		assert.Equal(t, row.after, masked(string(sealed)), file)

		again, err := Connections(key, file, sealed)
		require.NoError(t, err, file)
		assert.Equal(t, string(sealed), string(again), "%s: sealed once is sealed", file)
	}
}

// masked puts an S for every sealed text.
func masked(text string) string {
	for {
		before, rest, found := strings.Cut(text, `"`+seal.Marker)
		if !found {
			return text
		}
		_, after, _ := strings.Cut(rest, `"`)
		text = before + "S" + after
	}
}

func TestSealingRefuses(t *testing.T) {
	key := newKey(t)
	for file, row := range map[string]struct{ content, message string }{
		"cut.json":    {`{"a": "n33dle`, "cut.json:1: "},
		"broken.json": {"{\"a\": \"x://n33dle@h\",\n\"b\": {\"conn_type\": \"x\", \"port\": \"n33dle\"}}", `broken.json:2: connection "b": `},
		"c.env":       {"a=x://n33dle@h\n", "c.env: sealing works on .json, .yaml and .yml"},
		"alias.yaml":  {"a: &a {conn_type: x, password: n33dle}\nb:\n  <<: *a\n", ""},
	} {
		sealed, err := Connections(key, file, []byte(row.content))
		if assert.ErrorContains(t, err, row.message, file) {
			assert.NotContains(t, err.Error(), "n33dle", file)
		}
		assert.Empty(t, sealed, file)
	}
}

func FuzzConnections(f *testing.F) {
	f.Add("c.json", `{"a": "x://u:p@h", "b": {"conn_type": "x", "password": "p", "extra": {"k": 1}}}`)
	f.Add("c.json", `{"\u0061": {"conn_type": "x", "p\u0061ssword": "p", "extra": "{}"}}`)
	f.Add("c.yaml", "a: x://u:p@h # c\nb: {conn_type: x, password: 'p', extra: {k: 1}}\n")
	f.Add("c.yaml", "? a\n: x://h\nb:\n  conn_type: x\n  extra: |\n    {\"k\": 1}\n")
	key := newKey(f)
	f.Fuzz(func(t *testing.T, file, content string) {
		sealed, err := Connections(key, file, []byte(content))
		if err != nil {
			require.Empty(t, sealed)
			return
		}
		require.Equal(t, spelled(t, key, file, []byte(content)), spelled(t, key, file, sealed))
	})
}

// spelled lists all that a file holds that can be sealed, opened where it is.
func spelled(t testing.TB, key *seal.Key, file string, content []byte) []string {
	connections, _, err := export.ReadConnections(file, content, func(string) bool { return true })
	require.NoError(t, err)
	var all []string
	for _, c := range connections {
		for field, text := range map[string]*secret.Text{seal.Whole: c.Sealed, "password": c.Connection.Password, "extra": c.Connection.Extra} {
			value := revealed(text)
			if text != nil && seal.IsSealed(value) {
				place := seal.Place{Name: entry.Name{Kind: entry.Connection, ID: c.ID}, Field: field}
				if field != seal.Whole {
					place.Of = c.Connection
				}
				opened, err := key.Open(place, value)
				if err == nil {
					value = opened.Reveal()
				}
			}
			all = append(all, fmt.Sprintf("%q %q %q", c.ID, field, value))
		}
	}
	slices.Sort(all)
	return all
}
