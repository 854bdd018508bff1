package render

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func connection(id string) entry.Entry {
	made := entry.OfConnection(airflow.Connection{
		ID: id, Type: "postgres", Host: new("db"), Login: new("ada"), Password: new(secret.New("p@ss")), Port: new(uint16(5432)),
	}, "v1")
	made.Source = "core"
	return made
}

func text(key, value string) entry.Entry {
	made := entry.OfVariable(key, secret.New(value), "v1")
	made.Source = "core"
	return made
}

// rendered is what became of the entries.
type rendered []entry.Entry

func rendering(format Format, first map[string]string, entries ...entry.Entry) rendered {
	Render(format, entries, first)
	return entries
}

// of is the delivered entry with that id.
func (r rendered) of(t *testing.T, id string) entry.Entry {
	t.Helper()
	at := slices.IndexFunc(r, func(e entry.Entry) bool { return e.ID == id && e.State == entry.Delivered })
	require.NotEqual(t, -1, at, id)
	return r[at]
}

// failures are why the others cannot be rendered, by id.
func (r rendered) failures(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, e := range r {
		if e.State != entry.Delivered {
			assert.Equal(t, entry.Invalid, e.State)
			assert.Empty(t, string(e.Value)+string(e.JSON)+e.File+e.Env)
			found[e.ID] = e.Reason()
		}
	}
	return found
}

// lines are those of the manifest.
func (r rendered) lines() (lines []layout.Entry) {
	for _, e := range r {
		lines = append(lines, e.Entry)
	}
	return lines
}

func TestRenderGivesTheBytesOfEachEntry(t *testing.T) {
	out := rendering(URI, nil, connection("warehouse"), connection("a.b-c"), text("region", "nörd😀\n"))

	assert.Empty(t, out.failures(t))
	assert.Equal(t, "postgres://ada:p%40ss@db:5432", string(out.of(t, "warehouse").Value))
	assert.Equal(t, "nörd😀\n", string(out.of(t, "region").Value), "a variable is delivered byte for byte")
	assert.Equal(t, `"n\u00f6rd\ud83d\ude00\n"`, string(out.of(t, "region").JSON), "ASCII, which every locale reads")
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
	out := rendering(JSON, nil, connection("warehouse"))
	assert.JSONEq(t, `{"conn_type": "postgres", "host": "db", "login": "ada", "password": "p@ss", "port": 5432}`,
		string(out.of(t, "warehouse").Value))
}

func TestRenderDoesNotDependOnTheOrderOfTheAnswer(t *testing.T) {
	a, b := connection("a"), connection("b")
	assert.Equal(t, rendering(URI, nil, a, b), rendering(URI, nil, b, a))
}

func TestABrokenEntryIsAFailureAndSpoilsNoOther(t *testing.T) {
	untyped := connection("untyped")
	untyped.Connection.Type = ""
	for _, row := range []struct {
		name     string
		entries  []entry.Entry
		failures map[string]string // id to part of the reason
	}{
		{"no type", []entry.Entry{untyped}, map[string]string{"untyped": `field "conn_type": is missing`}},
		{"id that Airflow refuses", []entry.Entry{connection("a b")}, map[string]string{"a b": "is not allowed"}},
		{"NUL", []entry.Entry{text("nul", "a\x00b")}, map[string]string{"nul": "holds a NUL byte"}},
		{"not UTF-8", []entry.Entry{text("bytes", "\xff")}, map[string]string{"bytes": "is not UTF-8"}},
		{"key with an equals sign", []entry.Entry{text("a=b", "")}, map[string]string{"a=b": "cannot stand in"}},
		{"differing only in case", []entry.Entry{connection("db"), connection("Db"), connection("DB")}, map[string]string{
			"db": `"DB" and "Db" and "db" all become AIRFLOW_CONN_DB: rename all but one`,
			"Db": "all become AIRFLOW_CONN_DB", "DB": "all become AIRFLOW_CONN_DB",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			out := rendering(URI, nil, append(row.entries, connection("good"), text("good", "value"))...)
			assert.Len(t, out, len(row.entries)+2)
			failures := out.failures(t)
			require.Len(t, failures, len(row.failures))
			for id, reason := range failures {
				assert.Contains(t, reason, row.failures[id])
			}
		})
	}
}

// What a volume delivers already stays where a newcomer becomes the same variable, whether
// it is rendered anew or held.
func TestWhatWasDeliveredFirstStays(t *testing.T) {
	first := map[string]string{"AIRFLOW_VAR_REGION": "region", "AIRFLOW_VAR_HELD": "held"}
	out := rendering(URI, first, text("Region", "south"), text("region", "north"), text("Held", "x"), text("other", "y"))
	assert.Equal(t, "north", string(out.of(t, "region").Value))
	assert.Equal(t, "y", string(out.of(t, "other").Value))
	assert.Equal(t, map[string]string{
		"Region": `"region" and "Region" both become AIRFLOW_VAR_REGION, and "region" was delivered first: rename one`,
		"Held":   `"held" and "Held" both become AIRFLOW_VAR_HELD, and "held" was delivered first: rename one`,
	}, out.failures(t))
}

func TestAConnectionAndAVariableOfOneNameDoNotClash(t *testing.T) {
	out := rendering(URI, nil, connection("x"), text("x", "1"))
	assert.Empty(t, out.failures(t))
	assert.Len(t, out, 2)
}

func TestWhatIsTooLongForTheEnvironmentIsDeliveredWithANotice(t *testing.T) {
	const name = "AIRFLOW_VAR_V"
	longest := strings.Repeat("x", maxEnvString-len(name)-len("=")-len("\x00"))
	out := rendering(URI, nil, text("v", longest))
	assert.Empty(t, out[0].Notices)

	out = rendering(URI, nil, text("v", longest+"x"))
	assert.Empty(t, out.failures(t))
	require.Len(t, out[0].Notices, 1)
	assert.Equal(t, "too-long-for-env", out[0].Notices[0].Code)
	assert.Equal(t, longest+"x", string(out.of(t, "v").Value))
}

func TestWhatNoURICanCarryIsDeliveredAsJSONWithANotice(t *testing.T) {
	c := connection("loud")
	c.Connection.Type = "Postgres" // a scheme reads back in lower case
	out := rendering(URI, nil, c)
	require.Len(t, out, 1)
	require.Len(t, out[0].Notices, 1)
	assert.Equal(t, "delivered-as-json", out[0].Notices[0].Code)
	assert.True(t, json.Valid(out.of(t, "loud").Value))
}

// Airflow 3's file backend makes every connection of the file at each look-up, and fails
// over an extra that is no object.
func TestAnExtraThatIsTextIsLeftToTheEnvironment(t *testing.T) {
	c := connection("worded")
	c.Connection.Extra = new(secret.New("just words"))
	out := rendering(URI, nil, c, connection("other"))
	require.Len(t, out, 2)
	assert.True(t, out.of(t, "worded").Has(layout.NoticeExtraIsText))
	assert.Equal(t, "postgres://ada:p%40ss@db:5432/?__extra__=just%20words", string(out.of(t, "worded").Value))
	assert.Nil(t, out.of(t, "worded").JSON, "it is not in the file for Airflow")
	assert.NotNil(t, out.of(t, "other").JSON)
}
