package kubernetes_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/kubernetes"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

const (
	connectionID = "airflow.apache.org/connection-id="
	variableKey  = "airflow.apache.org/variable-key="
)

func rulesOf(t *testing.T, kwargs string, connectionName, variableName kubernetes.Template) kubernetes.Rules {
	t.Helper()
	rules, err := kubernetes.NewRules(kwargs, connectionName, variableName)
	require.NoError(t, err)
	return rules
}

// Secrets in Airflow's form keep the contract too, whether they are found by name or by label.
func TestAirflowsFormKeepsTheContract(t *testing.T) {
	for name, rules := range map[string]kubernetes.Rules{
		"by name":  rulesOf(t, "{}", "conn-{id}", "var-{id}-of-airflow"),
		"by label": rulesOf(t, "{}", "", ""),
	} {
		t.Run(name, func(t *testing.T) {
			connection, variable := func(id string) string { return "conn-" + id }, func(key string) string { return "var-" + key + "-of-airflow" }
			if name == "by label" {
				connection = func(id string) string { return "x" + fmt.Sprintf("%x", id) }
				variable = connection
			}
			providertest.Run(t, providertest.Harness{
				Authenticates: true, Denies: name == "by name",
				Serve: func(t *testing.T, world providertest.World) providertest.Source {
					served, api := startBy(t, world, rules)
					api.forbidden = append(api.forbidden, variable(world.Forbidden))
					put := func(name, label, value string) { api.label("team", name, label, map[string]string{"value": value}) }
					for _, one := range world.Connections {
						put(connection(one.ID), connectionID+one.ID, string(one.JSON()))
					}
					put(connection(world.Broken), connectionID+world.Broken, `{"conn_type": "http", "port": 70000}`)
					set := func(key, value string) { put("v"+variable(key), variableKey+key, value) }
					if name == "by name" {
						set = func(key, value string) { put(variable(key), variableKey+key, value) }
					}
					for key, value := range world.Variables {
						set(key, value)
					}
					api.label("other", variable("env"), variableKey+"env", map[string]string{"value": "of another namespace"})
					return providertest.Source{Provider: served, SetVariable: set, Freeze: api.freeze, Break: api.Close}
				},
			})
		})
	}
}

// TestAirflowsForm breaks one thing of one Secret each.
func TestAirflowsForm(t *testing.T) {
	const byName = "conn-{id}"
	for _, row := range []struct {
		name, kwargs   string
		template       kubernetes.Template
		secret, labels string
		data           map[string]string
		id             string
		want           string
	}{
		{"by name", "{}", byName, "conn-my-db", connectionID + "my_db", map[string]string{"value": "http://h"}, "my_db", "delivered"},
		{"by label", "{}", "", "whatever", connectionID + "my_db", map[string]string{"value": "http://h", "other": "\xff"}, "my_db", "delivered"},
		{"by label, though a Secret of its name is another's", "{}", "", "connection-my-db", connectionID + "My_DB", map[string]string{"value": "http://h"}, "My_DB", "delivered"},
		{"JSON", "{}", "", "whatever", connectionID + "db", map[string]string{"value": ` {"conn_type": "http"} `}, "db", "delivered"},
		{"a key of its own", `{"connections_data_key": "uri"}`, "", "whatever", connectionID + "db", map[string]string{"uri": "http://h"}, "db", "delivered"},
		{"a label of its own", `{"connections_label": "example.com/c"}`, "", "whatever", "example.com/c=db", map[string]string{"value": "http://h"}, "db", "delivered"},
		{"another namespace", `{"namespace": "airflow"}`, "", "airflow/whatever", connectionID + "db", map[string]string{"value": "http://h"}, "db", "delivered"},
		{"another namespace, by name", `{"namespace": "airflow"}`, byName, "airflow/conn-db", connectionID + "db", map[string]string{"value": "http://h"}, "db", "delivered"},
		{"not in another namespace", `{"namespace": "airflow"}`, "", "whatever", connectionID + "db", map[string]string{"value": "http://h"}, "db", "missing: no Secret has label airflow.apache.org/connection-id=db and not secrets.csi.leoflow.io/kind, and the pod gets none named airflow/connection-db for this id"},
		{"no team's label", `{"team_label": null}`, "", "whatever", connectionID + "db airflow.apache.org/team=a", map[string]string{"value": "http://h"}, "db", "delivered"},
		{"a team's, by label", "{}", "", "whatever", connectionID + "db airflow.apache.org/team=a", map[string]string{"value": "http://h"}, "db", "missing: no Secret has label"},
		{"a team's, by name", "{}", byName, "conn-db", connectionID + "db airflow.apache.org/team=a", map[string]string{"value": "http://h"}, "db", "missing: the Secret of that name is for another id, or for a team; see its labels"},
		{"another id, by name", "{}", byName, "conn-my-db", connectionID + "My_DB", map[string]string{"value": "http://h"}, "my_db", "missing: the Secret of that name is for another id"},
		{"another name", "{}", byName, "whatever", connectionID + "db", map[string]string{"value": "http://h"}, "db", "missing: there is no Secret conn-db"},
		{"a variable's label", "{}", byName, "conn-db", variableKey + "db", map[string]string{"value": "http://h"}, "db", "invalid: label secrets.csi.leoflow.io/kind: connection is missing from Secret conn-db; add it"},
		{"Airflow's form, which nobody asked for", "", byName, "conn-db", connectionID + "db", map[string]string{"value": "http://h"}, "db", "invalid: label secrets.csi.leoflow.io/kind: connection is missing"},
		{"the convention's label too, by label", "{}", "", "whatever", connectionID + "db " + kindLabel + "=connection", map[string]string{"value": "http://h"}, "db",
			"missing: no Secret has label airflow.apache.org/connection-id=db and not secrets.csi.leoflow.io/kind, and the pod gets none named connection-db for this id"},
		{"the convention's label too, by name", "{}", byName, "conn-db", connectionID + "another " + kindLabel + "=connection", map[string]string{"uri": "http://h"}, "db", "delivered"},
		{"switched off", `{"connections_label": null}`, "", "whatever", connectionID + "db", map[string]string{"value": "http://h"}, "db", "missing: there is no Secret connection-db"},
		{"no such key", "{}", "", "whatever", connectionID + "db", map[string]string{"uri": "http://h"}, "db", `invalid: key "value" is missing from Secret whatever; store the connection under it`},
		{"empty", "{}", "", "whatever", connectionID + "db", map[string]string{"value": ""}, "db", "invalid: reading Secret whatever"},
		{"binary", "{}", "", "whatever", connectionID + "db", map[string]string{"value": "n33dle\xff"}, "db", `invalid: key "value" of Secret whatever is not UTF-8; store text`},
		{"no connection", "{}", "", "whatever", connectionID + "db", map[string]string{"value": `{"conn_type": "n33dle`}, "db", "invalid: reading Secret whatever"},
		{"an id that no label has", "{}", "", "whatever", connectionID + "a/b", map[string]string{"value": "http://h"}, "a/b", "missing: the pod gets no Secret connection-a-b for this id; no label can have the id"},
		{"an id of a team's environment", "{}", "", "whatever", connectionID + "_a___b", map[string]string{"value": "http://h"}, "_a___b", "missing: the pod gets no Secret connection--a---b"},
	} {
		t.Run(row.name, func(t *testing.T) {
			world := providertest.NewWorld()
			served, api := startBy(t, world, rulesOf(t, row.kwargs, row.template, ""))
			namespace, name, elsewhere := strings.Cut(row.secret, "/")
			if !elsewhere {
				namespace, name = "team", row.secret
			}
			api.label(namespace, name, row.labels, row.data)
			assert.Contains(t, told(t, served, world.Reader, row.id), row.want)
		})
	}
}

// told is the state of a connection, and what is said of it.
func told(t *testing.T, served provider.Provider, pod provider.Identity, id string) string {
	t.Helper()
	entries, err := served.Fetch(t.Context(), pod, providertest.Names([]string{id}, nil))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.NotContains(t, entries[0].Reason(), "n33dle")
	return fmt.Sprintf("%s: %s", entries[0].State, entries[0].Reason())
}

func TestTwoSecretsOfOneLabelAreNotGuessedAt(t *testing.T) {
	world := providertest.NewWorld()
	served, api := startBy(t, world, rulesOf(t, "{}", "", ""))
	for _, name := range []string{"one", "two", "three"} {
		api.label("team", name, connectionID+"db", map[string]string{"value": "http://" + name})
	}
	assert.Contains(t, told(t, served, world.Reader, "db"), "invalid: more than one Secret has label airflow.apache.org/connection-id=db")
}

// A pod without the right to list is told so, and what to do: it is not said that there is nothing.
func TestAPodThatMayNotList(t *testing.T) {
	world := providertest.NewWorld()
	served, api := startBy(t, world, rulesOf(t, "{}", "", ""))
	api.label("team", "whatever", connectionID+"db", map[string]string{"value": "http://h"})
	api.label("team", "connection-named", connectionID+"named", map[string]string{"value": "http://h"})
	api.mu.Lock()
	api.unlisted = true
	api.mu.Unlock()
	assert.Equal(t, "denied: the pod gets no Secret connection-db, and RBAC does not let it list Secrets, which is how the one with label "+
		"airflow.apache.org/connection-id=db is found; let its service account list them, or give the driver a template of their names, so that get is enough",
		told(t, served, world.Reader, "db"))
	assert.Contains(t, told(t, served, world.Reader, "named"), "delivered", "which is named as the convention has it")
}

func TestWhatIsFoundByLabelAndDoesNotFitIsNotRead(t *testing.T) {
	world := providertest.NewWorld()
	served, api := startBy(t, world, rulesOf(t, "{}", "", ""))
	request := provider.Request{Variables: provider.Selection{Names: []string{"absent"}}, MaxBytes: 200 << 10, Partial: true}
	for i := range 6 {
		id := fmt.Sprint("large", i)
		api.label("team", fmt.Sprint("s", i), variableKey+id, map[string]string{"value": strings.Repeat("x", 64<<10)})
		request.Variables.Names = append(request.Variables.Names, id)
	}
	entries, err := served.Fetch(t.Context(), world.Reader, request)
	require.NoError(t, err)
	states := map[entry.State]int{}
	for _, one := range entries {
		states[one.State]++
		assert.Equal(t, one.State == entry.Invalid, one.TooLarge)
	}
	assert.Equal(t, 1, states[entry.Missing])
	assert.Positive(t, states[entry.Delivered])
	assert.Positive(t, states[entry.Invalid])
}

func TestEverythingOfBothForms(t *testing.T) {
	world := providertest.NewWorld()
	for name, row := range map[string]struct {
		rules kubernetes.Rules
		want  []string
	}{
		"by label":        {rulesOf(t, "{}", "", ""), []string{"by_label", "convention", "named"}},
		"by name":         {rulesOf(t, "{}", "connection-{id}", ""), []string{"convention", "named"}},
		"convention only": {kubernetes.Rules{}, []string{"convention"}},
	} {
		served, api := startBy(t, world, row.rules)
		api.put("team", "connection-convention", "connection", "", map[string]string{"uri": "http://h"})
		api.label("team", "connection-named", connectionID+"named", map[string]string{"value": "http://h"})
		api.label("team", "whatever", connectionID+"by_label", map[string]string{"value": "http://h"})
		api.label("team", "connection-convention", connectionID+"both "+kindLabel+"=connection", map[string]string{"uri": "http://h"})
		api.label("team", "teams", connectionID+"teams airflow.apache.org/team=a", map[string]string{"value": "http://h"})
		entries, err := served.Fetch(t.Context(), world.Reader, provider.Request{Connections: provider.Selection{All: true}})
		require.NoError(t, err)
		var ids []string
		for _, one := range entries {
			assert.Equal(t, entry.Delivered, one.State, one.Reason())
			ids = append(ids, one.ID)
		}
		assert.Equal(t, row.want, ids, name)
	}
}

func TestChangesOfAirflowsFormAreTold(t *testing.T) {
	for namespace, readers := range map[string]string{"": "team", `"namespace": "team"`: "", `"namespace": "other"`: "nobody"} {
		api := startAPI(t, providertest.NewWorld())
		served, err := kubernetes.New(kubernetes.Config{API: api.config(), Watch: true, Rules: rulesOf(t, "{"+namespace+"}", "", "")})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		changes, ended := make(chan provider.Change, 8), make(chan error, 1)
		go func() { ended <- served.Watch(ctx, func(change provider.Change) { changes <- change }) }()
		for range 3 {
			require.Equal(t, provider.Change{All: true}, testwait.Receive(t, changes), "of each selector")
		}
		api.label("team", "whatever", connectionID+"db", map[string]string{"value": "http://h"})
		if readers != "nobody" {
			assert.Equal(t, provider.Change{Entries: []entry.Name{{Kind: entry.Connection, ID: "db"}}, Namespace: readers}, testwait.Receive(t, changes))
		}
		cancel()
		require.ErrorIs(t, testwait.Receive(t, ended), context.Canceled)
		assert.Empty(t, changes)
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for kwargs, want := range map[string]string{
		"[]":                           "it is no JSON object",
		`{"labels": "x"}`:              "labels is not known to this driver, remove it",
		`{"namespace": "A b"}`:         "namespace is no name of a namespace",
		`{"connections_label": "a b"}`: "connections_label is no key of a label",
		`{"variables_label": ""}`:      "variables_label is no key of a label",
		`{"team_label": "-"}`:          "team_label is no key of a label",
	} {
		_, err := kubernetes.NewRules(kwargs, "", "")
		require.ErrorContains(t, err, want)
	}
	for _, template := range []string{"conn", "{id}{id}", "Conn-{id}", "{kind}-{id}"} {
		_, err := kubernetes.ParseTemplate(template)
		require.ErrorContains(t, err, strconv.Quote(template)+" is no template of a Secret's name")
	}
	_, err := kubernetes.NewRules(`{"namespace": null, "connections_label": null, "config_label": "x", "config_data_key": "y"}`, "{id}", "v.{id}")
	require.NoError(t, err)
}
