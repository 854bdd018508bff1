package gcp_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func startStore(t *testing.T, kwargs string) (*store.Provider, *cloudtest.GCP) {
	t.Helper()
	server := cloudtest.StartGCP(t, cloudtest.NewTokens())
	made, err := gcp.NewStore(gcp.Config{
		Audience: cloudtest.GCPAudience, Endpoint: server.Address, RegionalEndpoint: server.RegionalAddress,
		STSURL: server.URL() + "/token", IAMURL: server.URL(), Roots: server.Roots(), HTTP: server.Client(),
	}, kwargs)
	require.NoError(t, err)
	served := store.New("gcp-secretmanager", made, secretmanager.Config{CallTimeout: 2 * cloudtest.RequestTimeout})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	return served, server
}

const ofProject = `{"project_id": "project"}`

func TestStoreKeepsTheContract(t *testing.T) {
	name := func(kind, id string) string { return "projects/project/secrets/airflow-" + kind + "-" + id }
	cloudtest.RunStoreContract(t, cloudtest.GCPTokenAudience, name, func(t *testing.T) (*store.Provider, *cloudtest.Server) {
		served, server := startStore(t, ofProject)
		return served, server.Server
	})
}

func TestStoreReadsAndRefuses(t *testing.T) {
	served, server := startStore(t, ofProject)
	held := server.HoldSecrets()
	held.Set("projects/project/secrets/airflow-connections-a_b", "http://h")
	held.Deny("projects/project/secrets/airflow-connections-denied")
	pod := server.Tokens.Pod("team", "a", cloudtest.GCPTokenAudience)
	entries, err := served.Fetch(t.Context(), pod, providertest.Names([]string{"a_b", "denied", "missing", "a.b"}, nil))
	require.NoError(t, err)
	assert.Equal(t, "h", *entries[0].Connection.Host)
	for i, says := range map[int]string{
		1: "reading the secret from Secret Manager: PermissionDenied; grant roles/secretmanager.secretAccessor on projects/project/secrets/airflow-connections-denied to the pod's identity",
		2: "reading the secret from Secret Manager: NotFound; there is no projects/project/secrets/airflow-connections-missing, or its latest version is disabled or destroyed",
		3: "no secret of Secret Manager has such a name: it has 255 letters, digits, - and _ at most",
	} {
		assert.Equal(t, says, entries[i].Notices[0].Message)
	}
}

func TestAllTakesTheRightToList(t *testing.T) {
	served, server := startStore(t, ofProject)
	held := server.HoldSecrets()
	pod := server.Tokens.Pod("team", "a", cloudtest.GCPTokenAudience)
	for _, name := range []string{"airflow-connections-a", "airflow-variables-b", "not-airflow-connections-c"} {
		held.Set("projects/project/secrets/"+name, "http://h")
	}
	server.Secrets = func() []string {
		return []string{"airflow-connections-a", "airflow-variables-b", "not-airflow-connections-c"}
	}
	entries, err := served.Fetch(t.Context(), pod, providertest.Everything())
	require.NoError(t, err)
	require.Len(t, entries, 2)
	assert.Equal(t, []string{"a", "b"}, []string{entries[0].ID, entries[1].ID})

	server.Break(cloudtest.At(cloudtest.List, cloudtest.Fault{Status: 403}))
	_, err = served.Fetch(t.Context(), pod, providertest.Everything())
	require.ErrorIs(t, err, provider.ErrDenied)
	require.ErrorContains(t, err, "secretmanager.secrets.list on project project")
}

func TestWhatKwargsMaySay(t *testing.T) {
	cloudtest.CheckKwargs(t, map[string]string{
		`{"project_id": "p1", "connections_prefix": "x_", "variables_prefix": null, "config_prefix": "c", "sep": "_", "gcp_key_path": null}`: "",
		`{"connections_prefix": "x"}`:                                         "project_id names no project",
		`{"project_id": "p1", "connections_prefix": "a/b"}`:                   "connections_prefix and sep have other characters",
		`{"project_id": "p1", "gcp_keyfile_dict": {"private_key": "n33dle"}}`: "gcp_keyfile_dict cannot be used here: every pod reads as its own service account",
		`{"project_id": "p1", "conections_prefix": "x"}`:                      "conections_prefix is not known to this driver",
	}, func(kwargs string) error {
		made, err := gcp.NewStore(gcp.Config{Audience: cloudtest.GCPAudience, HTTP: secretmanager.NewHTTPClient(nil, 0)}, kwargs)
		if err != nil {
			return err
		}
		return made.Close()
	})
}

// A list that leads in a circle is given up long before its time is over, also one of empty pages, which are there in a list
// that ends.
func TestAListThatDoesNotEnd(t *testing.T) {
	served, server := startStore(t, ofProject)
	server.Hold(func(_, _, _ string) (string, error) { return "http://h", nil })
	for name, row := range map[string]struct {
		next  map[string]string
		names []string
		calls int
	}{
		"in a circle":                {map[string]string{"": "b", "b": "c", "c": "b"}, []string{"airflow-connections-x"}, 3},
		"in a circle of empty pages": {map[string]string{"": "b", "b": "c", "c": "b"}, nil, 3},
		"with an end":                {map[string]string{"": "b", "b": "c", "c": ""}, []string{"airflow-connections-x"}, 3},
		"empty, with an end":         {map[string]string{"": "b", "b": "c", "c": ""}, nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			server.Page = func(token string) ([]string, string) { calls++; return row.names, row.next[token] }
			entries, err := served.Fetch(t.Context(), server.Tokens.Pod("team", strconv.Itoa(len(name)), cloudtest.GCPTokenAudience),
				provider.Request{Connections: provider.Selection{All: true}})
			if ends := row.next["c"] == ""; ends {
				require.NoError(t, err)
				assert.Len(t, entries, len(row.names))
				assert.Equal(t, row.calls, calls)
			} else {
				require.ErrorIs(t, err, provider.ErrUnavailable)
				assert.LessOrEqual(t, calls, 4*row.calls, "with all attempts")
			}
		})
	}
}
