package azure_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) (*azure.Cloud, *cloudtest.Azure) {
	server := cloudtest.StartAzure(t, cloudtest.NewTokens())
	cloud := azure.New(azure.Config{AuthorityHost: server.URL(), VaultEndpoint: server.URL(), HTTP: server.Client()})
	t.Cleanup(func() { assert.NoError(t, cloud.Close()) })
	return cloud, server
}

func subject(server *cloudtest.Azure, account string) secretmanager.Subject {
	return secretmanager.Subject{
		Pod:      server.Tokens.Pod("ns", account, cloudtest.AzureTokenAudience),
		Location: reference.Location,
		Annotations: map[string]string{
			azure.ClientAnnotation: "client-of-" + account, azure.TenantAnnotation: cloudtest.AzureTenant,
		},
	}
}

var reference = entry.Reference{Cloud: "azure", Name: "secret", Location: "https://v.vault.azure.net/"}

func TestContract(t *testing.T) {
	cloudtest.RunContract(t, func(t *testing.T) cloudtest.Case {
		cloud, server := start(t)
		return cloudtest.Case{
			Cloud: cloud, Server: server.Server, Reference: reference,
			Subject: func(account string) secretmanager.Subject { return subject(server, account) },
			Principal: func(account string) string {
				return "ns/" + account + " as client-of-" + account + " in " + cloudtest.AzureTenant
			},
			Exchanges: []cloudtest.Step{cloudtest.Discover, cloudtest.Exchange},
		}
	})
}

func TestAnnotations(t *testing.T) {
	cloud, server := start(t)
	for _, row := range []struct {
		name        string
		annotations map[string]string
		message     string
	}{
		{"no client", map[string]string{azure.TenantAnnotation: "t"}, "service account ns/a lacks the annotation " + azure.ClientAnnotation},
		{"no tenant", map[string]string{azure.ClientAnnotation: "c"}, "service account ns/a lacks the annotation " + azure.TenantAnnotation},
		{"malformed client", map[string]string{azure.ClientAnnotation: "c/d", azure.TenantAnnotation: "t"}, "annotation " + azure.ClientAnnotation + " of service account ns/a"},
		{"malformed tenant", map[string]string{azure.ClientAnnotation: "c", azure.TenantAnnotation: "../t"}, "annotation " + azure.TenantAnnotation + " of service account ns/a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			made := subject(server, "a")
			made.Annotations = row.annotations
			_, err := cloud.Open(made)
			require.ErrorContains(t, err, row.message)
		})
	}
}

func TestUntrustedServiceAccount(t *testing.T) {
	cloud, server := start(t)
	server.Trusts = func(string, string, string) bool { return false }
	session, err := cloud.Open(subject(server, "a"))
	require.NoError(t, err)

	_, err = session.Access(t.Context(), reference)

	require.ErrorIs(t, err, provider.ErrUnauthenticated)
	assert.Zero(t, server.Calls(cloudtest.Access), "it does not go on as anybody else")
}

func TestTenantOfTheVault(t *testing.T) {
	for _, row := range []struct{ name, annotated, demanded, message string }{
		{"the same", cloudtest.AzureTenant, cloudtest.AzureTenant, ""},
		{"the same in capitals", cloudtest.AzureTenant, strings.ToUpper(cloudtest.AzureTenant), ""},
		{"another", cloudtest.AzureTenant, "22222222-2222-2222-2222-222222222222", "in another tenant than the pod's identity"},
		{"whatever the vault says", "organizations", cloudtest.AzureTenant, "in another tenant than the pod's identity"},
	} {
		t.Run(row.name, func(t *testing.T) {
			cloud, server := start(t)
			server.Challenge = `Bearer authorization="https://login.example/` + row.demanded + `", resource="https://vault.azure.net"`
			made := subject(server, "a")
			made.Annotations[azure.TenantAnnotation] = row.annotated
			session, err := cloud.Open(made)
			require.NoError(t, err)

			_, err = session.Access(t.Context(), reference)

			if row.message == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.message)
			require.NotErrorIs(t, err, provider.ErrUnavailable, "waiting does not mend it")
			assert.Zero(t, server.Calls(cloudtest.Exchange))
		})
	}
}

func TestDisabledSecretIsMissing(t *testing.T) {
	cloud, server := start(t)
	server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: 403, Code: "SecretDisabled"}))
	session, err := cloud.Open(subject(server, "a"))
	require.NoError(t, err)

	_, err = session.Access(t.Context(), reference)

	require.ErrorIs(t, err, provider.ErrMissing)
}
