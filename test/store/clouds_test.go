//go:build store

package store

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
)

// There is no emulator of these two clouds. The class's client is replaced by what a fake server of ours has, so
// that it is the names that are compared, and what is read.

func TestGoogleSecretManager(t *testing.T) {
	server := cloudtest.StartGCP(t, cloudtest.NewTokens())
	config := gcp.Config{
		Audience: cloudtest.GCPAudience, Endpoint: server.Address, RegionalEndpoint: server.RegionalAddress,
		STSURL: server.URL() + "/token", IAMURL: server.URL(), Roots: server.Roots(), HTTP: secretmanager.NewHTTPClient(server.Roots(), 0),
	}
	asked := judgeCloud(t, cloud{
		class:  "airflow.providers.google.cloud.secrets.secret_manager.CloudSecretManagerBackend",
		server: server.Server, audience: cloudtest.GCPTokenAudience, always: map[string]any{"project_id": "project"}, within: "projects/project/secrets/",
		prefixes: []string{"airflow-connections-", "airflow-variables-", "-", "c_-", "v_-", "c__", "v_"}, spelt: []string{"_"},
		open: func(kwargs string) (store.Store, error) { return gcp.NewStore(config, kwargs) },
		variants: map[string]map[string]any{
			"no prefix":        {"connections_prefix": "", "variables_prefix": ""},
			"a separator left": {"connections_prefix": "c_", "variables_prefix": "v_"},
			"a separator":      {"connections_prefix": "c_", "variables_prefix": "v", "sep": "_"},
		},
	})
	for _, one := range asked {
		if one.name == "as it comes" {
			judgeServer(t, one, ofServer())
		}
	}
}

func TestAzureKeyVault(t *testing.T) {
	server := cloudtest.StartAzure(t, cloudtest.NewTokens())
	config := azure.Config{Tenant: cloudtest.AzureTenant, AuthorityHost: server.URL(), VaultEndpoint: server.URL(), HTTP: secretmanager.NewHTTPClient(server.Roots(), 0)}
	judgeCloud(t, cloud{
		class:  "airflow.providers.microsoft.azure.secrets.key_vault.AzureKeyVaultBackend",
		server: server.Server, audience: cloudtest.AzureTokenAudience, always: map[string]any{"vault_url": "https://v.vault.azure.net"},
		prefixes: []string{"airflow-connections-", "airflow-variables-", "", "airflow-conn-", "c--", "v--", "airflow-connections", "airflow-variables"},
		spelt:    []string{"-", "--", ""},
		open:     func(kwargs string) (store.Store, error) { return azure.NewStore(config, kwargs) },
		variants: map[string]map[string]any{
			"no prefix":         {"connections_prefix": "", "variables_prefix": ""},
			"an underscore":     {"connections_prefix": "airflow_conn", "variables_prefix": "airflow_conn"},
			"a separator left":  {"connections_prefix": "airflow-conn---", "variables_prefix": "airflow-conn-"},
			"a long separator":  {"connections_prefix": "c", "variables_prefix": "v", "sep": "--"},
			"an impossible one": {"sep": "_"},
			"underscores go":    {"sep": ""},
		},
	})
}

// cloud is a store of which our server stands for both sides.
type cloud struct {
	class            string
	server           *cloudtest.Server
	audience, within string
	always           map[string]any
	prefixes         []string
	// spelt is what a name may have in the place of an underscore, where the store's have none.
	spelt    []string
	open     func(kwargs string) (store.Store, error)
	variants map[string]map[string]any
}

func judgeCloud(t *testing.T, c cloud) []question {
	t.Helper()
	c.variants["as it comes"] = map[string]any{}
	c.variants["switched off"] = map[string]any{"connections_prefix": nil, "variables_prefix": nil}
	data, values := maps.Clone(uris), maps.Clone(texts)
	maps.Copy(data, objects)
	maps.Copy(data, aliased)
	for _, id := range special {
		data[id], values[id] = "http://"+hostOf(id), "http://"+hostOf(id)
	}
	held, theirs := c.server.HoldSecrets(), map[string]string{}
	for _, prefix := range c.prefixes {
		for _, table := range []map[string]string{data, values} {
			for id, value := range table {
				for _, underscore := range c.spelt {
					name := strings.ReplaceAll(prefix+id, "_", underscore)
					if name == "" || cannotBe.MatchString(name) || underscore != "_" && len(name) > 127 {
						continue // as the clouds have it
					}
					held.Set(c.within+name, value)
					theirs[name] = value
				}
			}
		}
	}
	var questions []question
	for name, kwargs := range c.variants {
		maps.Copy(kwargs, c.always)
		text, err := json.Marshal(kwargs)
		require.NoError(t, err)
		made, err := c.open(string(text))
		require.NoError(t, err)
		served := store.New("cloud", made, secretmanager.Config{Annotations: func(context.Context, string, string) (map[string]string, error) {
			return map[string]string{azure.ClientAnnotation: "client"}, nil
		}})
		t.Cleanup(func() { require.NoError(t, served.Close()) })
		questions = append(questions, question{
			Class: c.class, Kwargs: kwargs, Held: theirs, Connections: append(keysOf(data), absent...), Variables: append(keysOf(values), absent...),
			name: name, ours: served, pod: c.server.Tokens.Pod("team", "etl", c.audience),
		})
	}
	judge(t, questions, and(ofConnections, ofOldConnections, ofJSON))
	return questions
}

// ofJSON are those of the classes that read Airflow's own JSON: Secrets Manager's words are no fields there.
var ofJSON = map[string]difference{
	"marked": {`connection {"conn_type":""`, "refused", noType},
	"twice":  {`connection {"conn_type":"http"`, "refused", "which of two values was meant, nobody knows"},
}

// cannotBe is what neither cloud has in a name.
var cannotBe = regexp.MustCompile(`[^A-Za-z0-9_-]`)
