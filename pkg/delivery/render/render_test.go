package render

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func connection(id string) Connection {
	return Connection{
		Connection: airflow.Connection{
			ID: id, Type: "postgres", Host: new("db"), Login: new("ada"), Password: new(secret.New("p@ss")), Port: new(uint16(5432)),
		},
		Version: "v1", Source: "core",
	}
}

func variable(key, value string) Variable {
	return Variable{Key: key, Value: secret.New(value), Version: "v1", Source: "core"}
}

func contentOf(t *testing.T, out Output, path string) string {
	t.Helper()
	for _, file := range out.Files {
		if file.Path == path {
			return string(file.Data)
		}
	}
	require.Failf(t, "no such file", "%s", path)
	return ""
}

func TestRenderWritesEachEntryAndBothAirflowFiles(t *testing.T) {
	out := Render(URI, []Connection{connection("warehouse"), connection("a.b-c")}, []Variable{variable("region", "north\n")})

	assert.Empty(t, out.Failures)
	assert.Equal(t, "postgres://ada:p%40ss@db:5432", contentOf(t, out, "connections/warehouse"))
	assert.Equal(t, "north\n", contentOf(t, out, "variables/region"), "a variable is delivered byte for byte")
	assert.JSONEq(t, `{"region": "north\n"}`, contentOf(t, out, layout.VariablesJSON))
	const object = `{"conn_type": "postgres", "host": "db", "login": "ada", "password": "p@ss", "port": 5432}`
	assert.JSONEq(t, `{"warehouse": `+object+`, "a.b-c": `+object+`}`, contentOf(t, out, layout.ConnectionsJSON))
	assert.Equal(t, []layout.Entry{
		{Kind: "connection", ID: "a.b-c", State: "delivered", Env: "AIRFLOW_CONN_A.B-C", File: "connections/a.b-c", Version: "v1", Source: "core"},
		{Kind: "connection", ID: "warehouse", State: "delivered", Env: "AIRFLOW_CONN_WAREHOUSE", File: "connections/warehouse", Version: "v1", Source: "core"},
		{Kind: "variable", ID: "region", State: "delivered", Env: "AIRFLOW_VAR_REGION", File: "variables/region", Version: "v1", Source: "core"},
	}, out.Entries)
}

func TestRenderAsJSON(t *testing.T) {
	out := Render(JSON, []Connection{connection("warehouse")}, nil)
	assert.JSONEq(t, `{"conn_type": "postgres", "host": "db", "login": "ada", "password": "p@ss", "port": 5432}`,
		contentOf(t, out, "connections/warehouse"))
}

func TestRenderNothingStillWritesReadableAirflowFiles(t *testing.T) {
	out := Render(URI, nil, nil)
	for _, path := range []string{layout.ConnectionsJSON, layout.VariablesJSON} {
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(contentOf(t, out, path)), &object))
		assert.Empty(t, object)
	}
}

func TestRenderDoesNotDependOnTheOrderOfTheAnswer(t *testing.T) {
	a, b := connection("a"), connection("b")
	assert.Equal(t, Render(URI, []Connection{a, b}, nil), Render(URI, []Connection{b, a}, nil))
}

func TestABrokenEntryIsAFailureAndSpoilsNoOther(t *testing.T) {
	untyped := connection("untyped")
	untyped.Connection.Type = ""
	for _, row := range []struct {
		name       string
		connection []Connection
		variable   []Variable
		failures   map[string]string // id to part of the detail
	}{
		{"no type", []Connection{untyped}, nil, map[string]string{"untyped": `field "conn_type": is missing`}},
		{"id that Airflow refuses", []Connection{connection("a b")}, nil, map[string]string{"a b": "is not allowed"}},
		{"NUL", nil, []Variable{variable("nul", "a\x00b")}, map[string]string{"nul": "holds a NUL byte"}},
		{"not UTF-8", nil, []Variable{variable("bytes", "\xff")}, map[string]string{"bytes": "is not UTF-8"}},
		{"key with an equals sign", nil, []Variable{variable("a=b", "")}, map[string]string{"a=b": "cannot stand in"}},
		{"differing only in case", []Connection{connection("db"), connection("Db"), connection("DB")}, nil, map[string]string{
			"db": `"DB" and "Db" and "db" all become AIRFLOW_CONN_DB: rename all but one`,
			"Db": "all become AIRFLOW_CONN_DB", "DB": "all become AIRFLOW_CONN_DB",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			out := Render(URI, append(row.connection, connection("good")), append(row.variable, variable("good", "value")))
			assert.Equal(t, "value", contentOf(t, out, "variables/good"))
			assert.NotEmpty(t, contentOf(t, out, "connections/good"))
			assert.Len(t, out.Entries, 2)
			require.Len(t, out.Failures, len(row.failures))
			for _, failure := range out.Failures {
				assert.Equal(t, provider.Invalid, failure.Reason)
				assert.Contains(t, failure.Detail, row.failures[failure.Name.ID])
			}
		})
	}
}

func TestAConnectionAndAVariableOfOneNameDoNotClash(t *testing.T) {
	out := Render(URI, []Connection{connection("x")}, []Variable{variable("x", "1")})
	assert.Empty(t, out.Failures)
	assert.Len(t, out.Entries, 2)
}

func TestWhatIsTooLongForTheEnvironmentIsDeliveredWithANotice(t *testing.T) {
	const name = "AIRFLOW_VAR_V"
	longest := strings.Repeat("x", maxEnvString-len(name)-len("=")-len("\x00"))
	out := Render(URI, nil, []Variable{variable("v", longest)})
	assert.Empty(t, out.Entries[0].Notices)

	out = Render(URI, nil, []Variable{variable("v", longest+"x")})
	assert.Empty(t, out.Failures)
	require.Len(t, out.Entries[0].Notices, 1)
	assert.Equal(t, "too-long-for-env", out.Entries[0].Notices[0].Code)
	assert.Equal(t, longest+"x", contentOf(t, out, "variables/v"))
}

func TestWhatNoURICanCarryIsDeliveredAsJSONWithANotice(t *testing.T) {
	c := connection("loud")
	c.Connection.Type = "Postgres" // a scheme reads back in lower case
	out := Render(URI, []Connection{c}, nil)
	require.Len(t, out.Entries, 1)
	require.Len(t, out.Entries[0].Notices, 1)
	assert.Equal(t, "delivered-as-json", out.Entries[0].Notices[0].Code)
	assert.True(t, json.Valid([]byte(contentOf(t, out, "connections/loud"))))
}

// Airflow 3's file backend makes every connection of the file at each look-up, and fails
// over an extra that is no object.
func TestAnExtraThatIsTextIsLeftToTheEnvironment(t *testing.T) {
	c := connection("worded")
	c.Connection.Extra = new(secret.New("just words"))
	out := Render(URI, []Connection{c, connection("other")}, nil)
	require.Len(t, out.Entries, 2)
	assert.True(t, out.Entries[1].Has(layout.NoticeExtraIsText))
	assert.Equal(t, "postgres://ada:p%40ss@db:5432/?__extra__=just%20words", contentOf(t, out, "connections/worded"))
	var served map[string]any
	require.NoError(t, json.Unmarshal([]byte(contentOf(t, out, layout.ConnectionsJSON)), &served))
	assert.Contains(t, served, "other")
	assert.NotContains(t, served, "worded")
}
