package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// TestWhatMayBeKeptAsAConnection has each form that people store one in, good and bad. A message holds
// no value.
func TestWhatMayBeKeptAsAConnection(t *testing.T) {
	const needle = "n33dle"
	for name, row := range map[string]struct{ kept, want string }{
		"a URI":                    {"postgres://u:n33dle@h:5432/s", `{"conn_type":"postgres","host":"h","login":"u","password":"n33dle","schema":"s","port":5432}`},
		"JSON":                     {`{"conn_type": "http", "host": "h"}`, `{"conn_type":"http","host":"h"}`},
		"JSON of Airflow's fields": {`{"conn_type":"x","host":"h","login":"l","password":"n33dle","schema":"s","port":1,"extra":{"a":1},"description":"d"}`, `{"conn_type":"x"…`},
		"JSON of another's fields": {`{"engine": "postgres", "username": "n33dle"}`, `invalid: field "engine"`},
		"JSON that is broken":      {`{"conn_type": "n33dle`, "invalid: "},
		"JSON with a URI":          {`{"uri": "postgres://u:n33dle@h/s"}`, `{"conn_type":"postgres"…`},
		"CRLF":                     {"postgres://u:n33dle@h/s\r\n", `{"conn_type":"postgres"…`},
		"a byte order mark":        {"\ufeff" + `{"conn_type": "http", "password": "n33dle"}`, "invalid: reading connection: text begins with a byte order mark; store it without"},
		"one before a URI":         {"\ufeffpostgres://u:n33dle@h/s", "invalid: reading connection: text begins with a byte order mark; store it without"},
		"something else":           {"n33dle", "invalid: "},
		"a list":                   {`["n33dle"]`, "invalid: "},
		"empty":                    {"", "invalid: reading connection: text is empty; give a URI or a JSON object"},
		"blanks":                   {" \n", "invalid: reading connection: text is empty; give a URI or a JSON object"},
		"binary":                   {"\xff\xfen33dle", "invalid: the secret is binary, or its text is not UTF-8; store text"},
		"NUL":                      {"postgres://u:n33dle\x00@h/s", "invalid: the secret holds the character NUL; store text"},
		"64 KiB":                   {`{"conn_type": "http", "password": "` + strings.Repeat("x", 64<<10-40) + `"}`, `{"conn_type":"http"…`},
	} {
		t.Run(name, func(t *testing.T) {
			held := newFakeStore(1)
			held.held["c/x"] = row.kept
			request := providertest.Names([]string{"x"}, nil)
			request.MaxBytes = 128 << 10
			entries, err := serve(t, held).Fetch(t.Context(), pod("ns", "a"), request)
			require.NoError(t, err)
			got := string(entries[0].Connection.JSON())
			if entries[0].State != entry.Delivered {
				got = string(entries[0].State) + ": " + entries[0].Notices[0].Message
				assert.NotContains(t, got, needle)
			}
			begin, isPart := strings.CutSuffix(row.want, "…")
			if isPart || strings.HasPrefix(row.want, "invalid") {
				assert.True(t, strings.HasPrefix(got, begin), "%.300s\nis not\n%s", got, row.want)
				return
			}
			assert.Equal(t, row.want, got)
		})
	}
}

// What the options rule out is not asked for, and the message names the option.
func TestWhatTheOptionsRuleOut(t *testing.T) {
	kwargs, err := ParseKwargs(`{"connections_prefix": null, "variables_lookup_pattern": "v_"}`)
	require.NoError(t, err)
	held := newFakeStore(1)
	held.Connections, held.Variables = kwargs.Prefix("connections", "c", true), kwargs.Prefix("variables", "v", true)
	require.NoError(t, kwargs.Err())
	held.hold("v_a", "other")
	entries, err := serve(t, held).Fetch(t.Context(), pod("ns", "a"), providertest.Names([]string{"x"}, []string{"V_A", "v_a", "other"}))
	require.NoError(t, err)
	assert.Equal(t, []string{
		"missing: the driver does not ask this store: connections_prefix is null in its backend_kwargs",
		"missing: there is none; create the secret, or correct the reference", "delivered",
		"missing: the driver does not ask this store: the id does not begin as variables_lookup_pattern wants in its backend_kwargs",
	}, states(entries))
	assert.Len(t, held.counted(), 2)
}

// A pattern means what it means in Python.
func TestPatternsArePythons(t *testing.T) {
	for _, row := range []struct {
		pattern, id string
		matches     bool
	}{
		{`a{,2}$`, "aa", true}, {`a{,2}$`, "aaa", false}, {`a{,2}$`, "a{,2}", false},
		{`a\\{,2}$`, "a{,2}", true}, {`a\\\\{,2}$`, `a\\`, true}, {`ab\\Z`, "ab", true}, {`ab\\Z`, "abc", false},
	} {
		kwargs, err := ParseKwargs(`{"connections_lookup_pattern": "` + row.pattern + `"}`)
		require.NoError(t, err)
		prefix := kwargs.Prefix("connections", "c", true)
		require.NoError(t, kwargs.Err())
		assert.Equal(t, row.matches, prefix.Admits(row.id) == "", "%s of %s", row.pattern, row.id)
	}
}
