package render

import (
	"encoding/json"
	"slices"
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

// of is the entry with that id.
func (o Output) of(t *testing.T, id string) Entry {
	t.Helper()
	at := slices.IndexFunc(o.Entries, func(e Entry) bool { return e.ID == id })
	require.NotEqual(t, -1, at, id)
	return o.Entries[at]
}

// lines are those of the manifest.
func (o Output) lines() (lines []layout.Entry) {
	for _, entry := range o.Entries {
		lines = append(lines, entry.Entry)
	}
	return lines
}

func TestRenderGivesTheBytesOfEachEntry(t *testing.T) {
	out := Render(URI, []Connection{connection("warehouse"), connection("a.b-c")}, []Variable{variable("region", "north\n")}, nil)

	assert.Empty(t, out.Failures)
	assert.Equal(t, "postgres://ada:p%40ss@db:5432", string(out.of(t, "warehouse").Value))
	assert.Equal(t, "north\n", string(out.of(t, "region").Value), "a variable is delivered byte for byte")
	assert.Equal(t, `"north\n"`, string(out.of(t, "region").JSON))
	const object = `{"conn_type": "postgres", "host": "db", "login": "ada", "password": "p@ss", "port": 5432}`
	assert.JSONEq(t, object, string(out.of(t, "warehouse").JSON))
	assert.JSONEq(t, object, string(out.of(t, "a.b-c").JSON))
	assert.Equal(t, []layout.Entry{
		{Kind: "connection", ID: "a.b-c", State: "delivered", Env: "AIRFLOW_CONN_A.B-C", File: "connections/a.b-c", Version: "v1", Source: "core"},
		{Kind: "connection", ID: "warehouse", State: "delivered", Env: "AIRFLOW_CONN_WAREHOUSE", File: "connections/warehouse", Version: "v1", Source: "core"},
		{Kind: "variable", ID: "region", State: "delivered", Env: "AIRFLOW_VAR_REGION", File: "variables/region", Version: "v1", Source: "core"},
	}, out.lines())
}

func TestRenderAsJSON(t *testing.T) {
	out := Render(JSON, []Connection{connection("warehouse")}, nil, nil)
	assert.JSONEq(t, `{"conn_type": "postgres", "host": "db", "login": "ada", "password": "p@ss", "port": 5432}`,
		string(out.of(t, "warehouse").Value))
}

func TestRenderDoesNotDependOnTheOrderOfTheAnswer(t *testing.T) {
	a, b := connection("a"), connection("b")
	assert.Equal(t, Render(URI, []Connection{a, b}, nil, nil), Render(URI, []Connection{b, a}, nil, nil))
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
			out := Render(URI, append(row.connection, connection("good")), append(row.variable, variable("good", "value")), nil)
			assert.Len(t, out.Entries, 2)
			require.Len(t, out.Failures, len(row.failures))
			for _, failure := range out.Failures {
				assert.Equal(t, provider.Invalid, failure.Reason)
				assert.Contains(t, failure.Detail, row.failures[failure.Name.ID])
			}
		})
	}
}

// What a volume delivers already stays where a newcomer becomes the same variable, whether
// it is rendered anew or held.
func TestWhatWasDeliveredFirstStays(t *testing.T) {
	first := map[string]string{"AIRFLOW_VAR_REGION": "region", "AIRFLOW_VAR_HELD": "held"}
	out := Render(URI, nil, []Variable{variable("Region", "south"), variable("region", "north"), variable("Held", "x"), variable("other", "y")}, first)
	assert.Equal(t, "north", string(out.of(t, "region").Value))
	assert.Equal(t, "y", string(out.of(t, "other").Value))
	details := map[string]string{}
	for _, failure := range out.Failures {
		details[failure.Name.ID] = failure.Detail
	}
	assert.Equal(t, map[string]string{
		"Region": `"region" and "Region" both become AIRFLOW_VAR_REGION, and "region" was delivered first: rename one`,
		"Held":   `"held" and "Held" both become AIRFLOW_VAR_HELD, and "held" was delivered first: rename one`,
	}, details)
}

func TestAConnectionAndAVariableOfOneNameDoNotClash(t *testing.T) {
	out := Render(URI, []Connection{connection("x")}, []Variable{variable("x", "1")}, nil)
	assert.Empty(t, out.Failures)
	assert.Len(t, out.Entries, 2)
}

func TestWhatIsTooLongForTheEnvironmentIsDeliveredWithANotice(t *testing.T) {
	const name = "AIRFLOW_VAR_V"
	longest := strings.Repeat("x", maxEnvString-len(name)-len("=")-len("\x00"))
	out := Render(URI, nil, []Variable{variable("v", longest)}, nil)
	assert.Empty(t, out.Entries[0].Notices)

	out = Render(URI, nil, []Variable{variable("v", longest+"x")}, nil)
	assert.Empty(t, out.Failures)
	require.Len(t, out.Entries[0].Notices, 1)
	assert.Equal(t, "too-long-for-env", out.Entries[0].Notices[0].Code)
	assert.Equal(t, longest+"x", string(out.of(t, "v").Value))
}

func TestWhatNoURICanCarryIsDeliveredAsJSONWithANotice(t *testing.T) {
	c := connection("loud")
	c.Connection.Type = "Postgres" // a scheme reads back in lower case
	out := Render(URI, []Connection{c}, nil, nil)
	require.Len(t, out.Entries, 1)
	require.Len(t, out.Entries[0].Notices, 1)
	assert.Equal(t, "delivered-as-json", out.Entries[0].Notices[0].Code)
	assert.True(t, json.Valid(out.of(t, "loud").Value))
}

// Airflow 3's file backend makes every connection of the file at each look-up, and fails
// over an extra that is no object.
func TestAnExtraThatIsTextIsLeftToTheEnvironment(t *testing.T) {
	c := connection("worded")
	c.Connection.Extra = new(secret.New("just words"))
	out := Render(URI, []Connection{c, connection("other")}, nil, nil)
	require.Len(t, out.Entries, 2)
	assert.True(t, out.of(t, "worded").Has(layout.NoticeExtraIsText))
	assert.Equal(t, "postgres://ada:p%40ss@db:5432/?__extra__=just%20words", string(out.of(t, "worded").Value))
	assert.Nil(t, out.of(t, "worded").JSON, "it is not in the file for Airflow")
	assert.NotNil(t, out.of(t, "other").JSON)
}
