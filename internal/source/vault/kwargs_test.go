package vault_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/internal/source/vault"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

func TestWhatKwargsMaySay(t *testing.T) {
	const sound = `"url": "https://v:8200", "auth_type": "kubernetes", "kubernetes_role": "r"`
	for name, row := range map[string]struct{ kwargs, says string }{
		"sound":                {`{` + sound + `}`, ""},
		"all that is accepted": {`{` + sound + `, "connections_path": ["a", "b"], "variables_path": null, "config_path": "c", "mount_point": null, "kv_engine_version": 1, "namespace": "n", "use_team_secrets_path": true, "global_secrets_path": "g", "auth_mount_point": "k", "kubernetes_jwt_path": "/p", "timeout": 3, "token": null, "verify": null}`, ""},
		"verified":             {`{` + sound + `, "verify": true}`, ""},
		"no JSON":              {`{'url': 1}`, "it is no JSON object"},
		"a list":               {`[]`, "it is no JSON object"},
		"nothing":              {``, "url must be an https URL"},
		"plain HTTP":           {`{"url": "http://v:8200", "auth_type": "jwt"}`, "url must be an https URL"},
		"a token":              {`{` + sound + `, "token": "n33dle"}`, "token cannot be used here: every pod logs in by its own token"},
		"auth by token":        {`{"url": "https://v:8200"}`, "auth_type cannot be used here: every pod logs in by its own token"},
		"auth by approle":      {`{"url": "https://v:8200", "auth_type": "approle", "role_id": "n33dle", "secret_id": "n33dle"}`, "role_id cannot be used here"},
		"no verification":      {`{` + sound + `, "verify": false}`, "verify cannot be used here"},
		"a version":            {`{` + sound + `, "kv_engine_version": 3}`, "kv_engine_version must be 1 or 2"},
		"a version in text":    {`{` + sound + `, "kv_engine_version": "2"}`, "kv_engine_version must be a whole number"},
		"a path":               {`{` + sound + `, "connections_path": 1}`, "connections_path must be text, a list of texts, or null"},
		"an unknown option":    {`{` + sound + `, "conections_path": "n33dle"}`, "conections_path is not known"},
	} {
		_, err := vault.New(vault.Config{Kwargs: row.kwargs})
		if row.says == "" {
			assert.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, row.says, name)
		assert.NotContains(t, err.Error(), "n33dle", name)
	}
}

// Paths are asked in the order of Airflow's class, an empty one at the mount's root; and of none it is said why.
func TestPathsOfKwargs(t *testing.T) {
	for _, row := range []struct {
		kwargs string
		names  []string
		reason string
	}{
		{`"connections_path": ["a/", ""]`, []string{"secret\x00a/db", "secret\x00db"}, ""},
		{`"connections_path": "a", "global_secrets_path": ""`, []string{"secret\x00a/db", "secret\x00db"}, ""},
		{`"connections_path": null, "global_secrets_path": "g/"`, []string{"secret\x00g/db"}, ""},
		{`"connections_path": null, "global_secrets_path": null`, nil, "connections_path is null"},
		{`"connections_path": []`, nil, "connections_path is an empty list"},
	} {
		made, err := vault.New(vault.Config{Kwargs: `{"url": "https://v:8200", "auth_type": "kubernetes", "kubernetes_role": "r", ` + row.kwargs + `}`})
		require.NoError(t, err, row.kwargs)
		names, reason := made.Names(store.Team{}, entry.Name{Kind: entry.Connection, ID: "db"})
		assert.Equal(t, row.names, names, row.kwargs)
		assert.Contains(t, reason, row.reason, row.kwargs)
		assert.Equal(t, row.names == nil, reason != "", row.kwargs)
	}
}
