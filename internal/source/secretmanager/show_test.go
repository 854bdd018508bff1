package secretmanager_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/azure"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const shownRole = "arn:aws:iam::123456789012:role/etl"

// What a pod shows follows from its service account's annotations and the node's settings alone; no token
// is needed for it, and nobody but the API server is asked.
func TestWhatAPodShowsToEachCloud(t *testing.T) {
	const googleAudience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k"
	client := secretmanager.NewHTTPClient(nil, 0)
	google, err := gcp.New(gcp.Config{Audience: googleAudience, HTTP: client})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, google.Close()) })
	inAzure := azure.New(azure.Config{AuthorityHost: "https://login.example", HTTP: client})
	variable := func(name, value string) layout.IdentityVariable {
		return layout.IdentityVariable{Name: name, Value: value}
	}
	file := func(name, path string) layout.IdentityVariable {
		return layout.IdentityVariable{Name: name, File: path}
	}
	for name, row := range map[string]struct {
		cloud       secretmanager.Cloud
		of          string
		annotations map[string]string
		want        layout.Identity
		config      string
		fails       string
	}{
		"a federated identity": {google, "gcp", nil, layout.Identity{
			Cloud: "gcp", Audience: "https:" + googleAudience, Token: "identity/gcp.token", Config: "identity/gcp.json",
			Variables: []layout.IdentityVariable{file("GOOGLE_APPLICATION_CREDENTIALS", "identity/gcp.json")},
		}, `{
  "type": "external_account",
  "audience": "` + googleAudience + `",
  "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
  "token_url": "https://sts.googleapis.com/v1/token",
  "credential_source": {
    "file": "/var/run/leoflow/secrets/identity/gcp.token"
  }
}
`, ""},
		"no e-mail": {google, "gcp", map[string]string{gcp.ServiceAccountAnnotation: "a/b"}, layout.Identity{}, "", "is not an account's e-mail address"},
		"a role": {aws.New(aws.Config{PodIdentity: true, HTTP: client}), "aws", map[string]string{aws.RoleAnnotation: shownRole}, layout.Identity{
			Cloud: "aws", Audience: "sts.amazonaws.com", Token: "identity/aws.token", Config: "identity/aws.config",
			Variables:   []layout.IdentityVariable{variable("AWS_ROLE_ARN", shownRole), file("AWS_WEB_IDENTITY_TOKEN_FILE", "identity/aws.token")},
			Annotations: []string{aws.RoleAnnotation},
		}, "[default]\nrole_arn = " + shownRole + "\nweb_identity_token_file = /var/run/leoflow/secrets/identity/aws.token\n", ""},
		"a role that is none": {aws.New(aws.Config{HTTP: secretmanager.NewHTTPClient(nil, 0)}), "aws", map[string]string{aws.RoleAnnotation: "x\naws_access_key_id = y"}, layout.Identity{}, "", "is not the ARN of a role"},
		"no role":             {aws.New(aws.Config{HTTP: secretmanager.NewHTTPClient(nil, 0)}), "aws", nil, layout.Identity{}, "", "no role to assume: annotate service account ns/sa with eks.amazonaws.com/role-arn"},
		"EKS Pod Identity": {aws.New(aws.Config{PodIdentity: true, HTTP: client}), "aws", nil, layout.Identity{
			Cloud: "aws", Audience: "pods.eks.amazonaws.com", Token: "identity/aws.token",
			Variables: []layout.IdentityVariable{
				file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "identity/aws.token"),
				variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
			},
		}, "", ""},
		"a workload identity": {inAzure, "azure", map[string]string{azure.ClientAnnotation: "client", azure.TenantAnnotation: "tenant"}, layout.Identity{
			Cloud: "azure", Audience: "api://AzureADTokenExchange", Token: "identity/azure.token",
			Variables: []layout.IdentityVariable{
				variable("AZURE_CLIENT_ID", "client"), file("AZURE_FEDERATED_TOKEN_FILE", "identity/azure.token"),
				variable("AZURE_TENANT_ID", "tenant"), variable("AZURE_AUTHORITY_HOST", "https://login.example"),
			},
			Annotations: []string{azure.ClientAnnotation, azure.TenantAnnotation},
		}, "", ""},
		"no client":   {inAzure, "azure", nil, layout.Identity{}, "", "service account ns/sa lacks the annotation azure.workload.identity/client-id; add it"},
		"not enabled": {inAzure, "oci", nil, layout.Identity{}, "", "identities at oci are not enabled on this node"},
	} {
		t.Run(name, func(t *testing.T) {
			resolver := secretmanager.New(secretmanager.Config{
				Clouds: map[string]secretmanager.Cloud{cloudNameOf(row.cloud): row.cloud},
				Annotations: func(context.Context, string, string) (map[string]string, error) {
					if row.annotations == nil {
						return map[string]string{}, nil
					}
					return row.annotations, nil
				},
			})
			got, config, err := resolver.Identity(t.Context(), provider.Identity{Namespace: "ns", ServiceAccount: "sa"}, row.of)
			if row.fails != "" {
				require.ErrorContains(t, err, row.fails)
				require.NotErrorIs(t, err, provider.ErrUnavailable)
				assert.Equal(t, row.annotations == nil && row.of != "oci", errors.Is(err, provider.ErrNoIdentity), "nobody said who the pod is")
				return
			}
			require.NoError(t, err)
			require.NoError(t, got.Check())
			assert.Equal(t, row.want, got)
			assert.Equal(t, row.config, config)
			assert.True(t, resolver.HasIdentity(row.of))
		})
	}
}

func cloudNameOf(cloud secretmanager.Cloud) string {
	switch cloud.(type) {
	case *gcp.Cloud:
		return "gcp"
	case *aws.Cloud:
		return "aws"
	}
	return "azure"
}

func TestAServiceAccountThatCannotBeReadIsUnavailable(t *testing.T) {
	resolver := secretmanager.New(secretmanager.Config{
		Clouds:      map[string]secretmanager.Cloud{"aws": aws.New(aws.Config{HTTP: secretmanager.NewHTTPClient(nil, 0)})},
		Annotations: func(context.Context, string, string) (map[string]string, error) { return nil, errors.New("away") },
		CallTimeout: time.Second,
	})
	_, _, err := resolver.Identity(t.Context(), provider.Identity{Namespace: "ns", ServiceAccount: "sa"}, "aws")
	require.ErrorIs(t, err, provider.ErrUnavailable)
}
