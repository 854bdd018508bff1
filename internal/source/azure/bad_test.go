package azure_test

import (
	"strconv"
	"testing"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestWhatKeyVaultAnswers(t *testing.T) {
	served, server := startStore(t, ofVault)
	for _, row := range []struct {
		name   string
		status int
		code   string
		state  string // of the entry; empty where none is told of
		kind   error
		says   string
	}{
		{"disabled", 403, "SecretDisabled", "missing", nil, "it is disabled; there is no airflow-connections-x in the vault, or it is disabled"},
		{"denied by a role", 403, "ForbiddenByRbac", "denied", nil, "assign the role Key Vault Secrets User on the secret airflow-connections-x"},
		{"denied by a policy", 403, "AccessDenied", "denied", nil, "assign the role Key Vault Secrets User on the secret airflow-connections-x"},
		{"missing", 404, "SecretNotFound", "missing", nil, "there is no airflow-connections-x in the vault"},
		{"a name that it refuses", 400, "BadParameter", "invalid", nil, "HTTP 400"},
		{"behind a firewall", 403, "ForbiddenByFirewall", "", provider.ErrUnavailable, "the vault's firewall does not admit this node"},
		{"throttled", 429, "Throttled", "", provider.ErrUnavailable, "HTTP 429"},
		{"away", 503, "Busy", "", provider.ErrUnavailable, "HTTP 503"},
	} {
		t.Run(row.name, func(t *testing.T) {
			server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: row.status, Code: row.code}))
			cloudtest.Tells(t, served, server.Tokens.Pod("team", row.code, cloudtest.AzureTokenAudience), row.state, row.kind, row.says)
		})
	}
}

// A gateway or a proxy before the store denies and does not find, too, and takes no file from a pod by that.
func TestWhatIsNotOfKeyVault(t *testing.T) {
	served, server := startStore(t, ofVault)
	for i, row := range []struct {
		status int
		body   string
	}{
		{400, "<html>n33dle"},
		{403, `{"message": "n33dle"}`},
		{404, "<html>n33dle"},
		{403, `{"error": {"code": "AuthorizationFailed", "message": "n33dle"}}`}, // of Azure's own, and of no vault
		{404, `{"error": {"code": "ResourceNotFound", "message": "n33dle"}}`},
	} {
		server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: row.status, Body: row.body}))
		pod := server.Tokens.Pod("team", strconv.Itoa(i), cloudtest.AzureTokenAudience)
		cloudtest.Tells(t, served, pod, "", provider.ErrUnavailable, "HTTP "+strconv.Itoa(row.status)+", and not from the store")
	}
}
