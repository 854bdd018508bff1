//go:build store

package store

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/source/vault"
)

const vaultClass = "airflow.providers.hashicorp.secrets.vault.VaultBackend"

// vaultValues are what only Vault can keep under "value".
var vaultValues = map[string]any{
	"v_int": 5, "v_float": 1.5, "v_true": true, "v_object": map[string]any{"a": 1}, "v_list": []int{1}, "v_nothing": nil, "v_empty": "",
}

// vaultPaths are where each variant looks for connections and for variables.
var vaultPaths = []struct{ mount, connections, variables string }{
	{"secret/data/", "connections/", "variables/"}, {"secret/data/", "deep/er/", "deep/variables/"}, {"secret/data/", "", ""}, {"kv1/", "connections/", "variables/"},
}

func TestVault(t *testing.T) {
	bao := cloudtest.StartBao(t)
	bao.Policy("all", `path "secret/*" { capabilities = ["read"] }
path "kv1/*" { capabilities = ["read"] }
path "secret/data/connections/denied" { capabilities = ["deny"] }
path "secret/data/deep/er/denied" { capabilities = ["deny"] }`)
	bao.Role("all", "all", nil, "team:etl")
	token := bao.Do("POST", "auth/token/create", map[string]any{"policies": []string{"all"}})["auth"].(map[string]any)["client_token"]
	connections, variables := fillVault(t, bao)

	var questions []question
	for name, kwargs := range map[string]map[string]any{
		"as it comes":           {},
		"a path of two parts":   {"connections_path": "deep/er", "variables_path": "deep/variables"},
		"paths with a slash":    {"connections_path": "deep/er/", "variables_path": "deep/variables/"},
		"no path":               {"connections_path": "", "variables_path": ""},
		"switched off":          {"connections_path": nil, "variables_path": nil},
		"no mount":              {"mount_point": nil},
		"version 1":             {"mount_point": "kv1", "kv_engine_version": 1},
		"another path":          {"connections_path": "nothing", "config_path": "x"},
		"as it came in Airflow": {"connections_path": "connections", "variables_path": "variables", "mount_point": "secret", "kv_engine_version": 2},
	} {
		connections, variables := connections, variables
		if name == "no mount" { // where ids begin with one
			connections, variables = append(within("secret/", connections), connections...), append(within("secret/", variables), variables...)
		}
		theirs := map[string]any{"url": bao.Plain(), "auth_type": "token", "token": token}
		maps.Copy(theirs, kwargs)
		made, err := vault.New(vault.Config{Kwargs: bao.Kwargs("all", kwargs), HTTP: secretmanager.NewHTTPClient(bao.Roots(), 0)})
		require.NoError(t, err)
		served := store.New("vault", made, secretmanager.Config{})
		t.Cleanup(func() { require.NoError(t, served.Close()) })
		questions = append(questions, question{Class: vaultClass, Kwargs: theirs, Connections: connections, Variables: variables, name: name, ours: served, pod: bao.Pod("team", "etl")})
	}
	listed := maps.Clone(vaultDifferences)
	for id, one := range vaultDifferences {
		if rest, isOld := strings.CutPrefix(id, "old: "); isOld {
			listed["old: secret/"+rest] = one
		} else {
			listed["secret/"+id] = one
		}
	}
	judge(t, questions, listed)
}

func within(mount string, ids []string) (made []string) {
	for _, id := range ids {
		if !strings.HasPrefix(id, mount) {
			made = append(made, mount+id)
		}
	}
	return made
}

// fillVault writes every value wherever a variant looks for it, and returns the ids.
func fillVault(t *testing.T, bao *cloudtest.Bao) (connections, variables []string) {
	t.Helper()
	data := map[string]map[string]any{}
	for id, uri := range uris {
		data[id] = map[string]any{"conn_uri": uri}
	}
	for id, object := range objects {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(object), &fields))
		data[id] = fields
	}
	for id, more := range map[string]map[string]any{
		"conn_uri_and_more": {"conn_uri": "http://h", "login": "x"}, "conn_uri_blank": {"conn_uri": "", "conn_type": "http"},
		"conn_uri_null": {"conn_uri": nil, "conn_type": "http"}, "conn_uri_number": {"conn_uri": 5}, "conn_uri_json": {"conn_uri": `{"conn_type": "http", "host": "h"}`},
		"conn_uri_blanks": {"conn_uri": "  "}, "denied": {"conn_uri": "http://h"},
	} {
		data[id] = more
	}
	values := map[string]any{}
	for id, text := range texts {
		values[id] = text
	}
	maps.Copy(values, vaultValues)
	for _, id := range special {
		data[id] = map[string]any{"conn_uri": "http://" + hostOf(id)}
		values[id] = id
	}
	for _, at := range vaultPaths {
		for id, fields := range data {
			write(bao, at.mount, at.connections+id, fields)
		}
		for id, value := range values {
			write(bao, at.mount, at.variables+id, map[string]any{"value": value})
		}
		write(bao, at.mount, at.variables+"v_other_key", map[string]any{"text": "x"})
	}
	connections = append(append(keysOf(data), absent...), "secret/uri", "secret/all", "kv1/uri", "x")
	return connections, append(append(keysOf(values), absent...), "v_other_key", "secret/v_text")
}

func write(bao *cloudtest.Bao, mount, path string, fields map[string]any) {
	if mount == "kv1/" {
		if len(fields) > 0 { // which the first version takes for a mistake
			bao.Do("POST", mount+path, fields)
		}
		return
	}
	bao.Do("POST", mount+path, map[string]any{"data": fields})
}

var vaultDifferences = and(ofConnections, ofOldConnections, map[string]difference{
	"v_int":       {"no text 5", "variable 5", asJSON},
	"v_float":     {"no text 1.5", "variable 1.5", asJSON},
	"v_true":      {"no text true", "variable true", asJSON},
	"v_list":      {"no text [1]", "variable [1]", asJSON},
	"v_object":    {`no text {"a": 1}`, `variable {"a":1}`, asJSON},
	"v_nothing":   {"missing", "refused", isThere},
	"v_other_key": {"missing", "refused", isThere},

	// The class of 2.10 makes a connection of the fields as they stand, and knows no JSON beside them.
	"old: conn_uri_blanks": {`connection {"conn_type":""`, "refused", noType},
	"old: conn_uri_json":   {`connection {"conn_type":""`, `connection {"conn_type":"http"`, "newer ones read JSON under conn_uri"},
	"old: uri_blanks":      {`connection {"conn_type":"postgres"`, `connection {"conn_type":"postgres"`, "newer ones strip white space"},
	"old: extra_empty":     {`connection {"conn_type":"aws"`, `connection {"conn_type":"aws"`, "an empty extra is none to any hook"},
	"old: port_bad":        {`connection {"conn_type":"http"`, "refused", noPort},
	"old: port_blank":      {`connection {"conn_type":"http"`, `connection {"conn_type":"http"`, "a port is a number or none"},
	"old: port_text":       {`connection {"conn_type":"http"`, `connection {"conn_type":"http"`, "a port is a number or none"},
	"old: type_alias":      {`connection {"conn_type":"postgresql"`, `connection {"conn_type":"postgres"`, "hooks have that name"},
	"old: type_dash":       {`connection {"conn_type":"google-cloud-platform"`, `connection {"conn_type":"google_cloud_platform"`, "hooks have that name"},
})
