package azure_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func startStore(t *testing.T, kwargs string) (*store.Provider, *cloudtest.Azure) {
	t.Helper()
	server := cloudtest.StartAzure(t, cloudtest.NewTokens())
	made, err := azure.NewStore(azure.Config{
		Tenant: cloudtest.AzureTenant, AuthorityHost: server.URL(), VaultEndpoint: server.URL(), HTTP: server.Client(),
	}, kwargs)
	require.NoError(t, err)
	served := store.New("azure-keyvault", made, secretmanager.Config{
		CallTimeout: 2 * cloudtest.RequestTimeout,
		Annotations: func(_ context.Context, _, account string) (map[string]string, error) {
			return map[string]string{azure.ClientAnnotation: "client-of-" + account}, nil
		},
	})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	return served, server
}

const ofVault = `{"vault_url": "https://v.vault.azure.net"}`

func TestStoreKeepsTheContract(t *testing.T) {
	name := func(kind, id string) string { return "airflow-" + kind + "-" + id }
	cloudtest.RunStoreContract(t, cloudtest.AzureTokenAudience, name, func(t *testing.T) (*store.Provider, *cloudtest.Server) {
		served, server := startStore(t, ofVault)
		return served, server.Server
	})
}

func TestStoreReadsAndRefuses(t *testing.T) {
	served, server := startStore(t, ofVault)
	held := server.HoldSecrets()
	held.Set("airflow-connections-a-b", "http://h")
	held.Deny("airflow-connections-denied")
	pod := server.Tokens.Pod("team", "a", cloudtest.AzureTokenAudience)
	entries, err := served.Fetch(t.Context(), pod, providertest.Names([]string{"a_b", "a-b", "denied", "missing", "a.b"}, nil))
	require.NoError(t, err)
	for _, one := range entries[:2] {
		assert.Equal(t, "h", *one.Connection.Host)
	}
	for i, says := range map[int]string{
		2: "reading the secret from Key Vault: HTTP 403; assign the role Key Vault Secrets User on the secret airflow-connections-denied to the pod's identity",
		3: "reading the secret from Key Vault: HTTP 404; there is no airflow-connections-missing in the vault, or it is disabled",
		4: "no secret of Key Vault has such a name: it has 127 letters, digits and - at most",
	} {
		assert.Equal(t, says, entries[i].Notices[0].Message)
	}
	assert.Equal(t, 3, server.Calls(cloudtest.Access), "two ids of one name are one call")
}

func TestAllTakesTheRightToList(t *testing.T) {
	served, server := startStore(t, ofVault)
	held := server.HoldSecrets()
	pod := server.Tokens.Pod("team", "a", cloudtest.AzureTokenAudience)
	for _, name := range []string{"airflow-connections-a", "airflow-connections-b", "airflow-variables-c", "other"} {
		held.Set(name, "http://h")
	}
	entries, err := served.Fetch(t.Context(), pod, providertest.Everything())
	require.NoError(t, err)
	require.Len(t, entries, 3)
	assert.Equal(t, "abc", strings.Join([]string{entries[0].ID, entries[1].ID, entries[2].ID}, ""))

	server.Break(cloudtest.At(cloudtest.List, cloudtest.Fault{Status: 403, Code: "Forbidden"}))
	_, err = served.Fetch(t.Context(), pod, providertest.Everything())
	require.ErrorIs(t, err, provider.ErrDenied)
	require.ErrorContains(t, err, "the right to list the whole vault")
}

func TestWhatKwargsMaySay(t *testing.T) {
	cloudtest.CheckKwargs(t, map[string]string{
		`{"vault_url": "https://v.vault.azure.cn", "connections_prefix": "", "variables_prefix": null, "sep": "-", "workload_identity_tenant_id": "t", "client_id": ""}`: "",
		`{}`:                                   "vault_url is no vault's URL",
		`{"vault_url": "https://example.com"}`: "vault_url is no vault's URL",
		`{"vault_url": "https://v.vault.azure.net", "client_secret": "n33dle"}`: "client_secret cannot be used here: every pod reads as the client",
		`{"vault_url": "https://v.vault.azure.net", "logging_enable": true}`:    "logging_enable is not known to this driver",
	}, func(kwargs string) error {
		_, err := azure.NewStore(azure.Config{HTTP: secretmanager.NewHTTPClient(nil, 0)}, kwargs)
		return err
	})
}

// A vault that lies about its list takes nothing from pods, and has no token sent elsewhere.
func TestAListThatLies(t *testing.T) {
	for name, body := range map[string]string{
		"no list":             `{}`,
		"the same page again": `{"value": [], "nextLink": "VAULT/secrets?api-version=1"}`,
		"a page of another's": `{"value": [], "nextLink": "ELSEWHERE/secrets"}`,
		"a page of nobody's":  `{"value": [], "nextLink": "/secrets"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served, server := startStore(t, ofVault)
			var asked atomic.Bool
			elsewhere := httptest.NewUnstartedServer(nil)
			elsewhere.Config.ErrorLog = log.New(io.Discard, "", 0)
			elsewhere.Config.ConnState = func(net.Conn, http.ConnState) { asked.Store(true) }
			elsewhere.StartTLS()
			t.Cleanup(elsewhere.Close)
			host := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
			server.Break(cloudtest.At(cloudtest.List, cloudtest.Fault{Status: 200, Body: strings.NewReplacer("VAULT", server.URL(), "ELSEWHERE", host).Replace(body)}))
			_, err := served.Fetch(t.Context(), server.Tokens.Pod("team", "a", cloudtest.AzureTokenAudience), providertest.Everything())
			require.ErrorIs(t, err, provider.ErrUnavailable)
			assert.False(t, asked.Load())
		})
	}
}
