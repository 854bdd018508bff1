package secretmanager_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/policy"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// TestFromReferenceToConnection goes the whole way, through the policy and over each
// cloud's protocols, to the connection that a hook is given.
func TestFromReferenceToConnection(t *testing.T) {
	for _, row := range []struct{ cloud, connType, fields, held, given string }{
		{"gcp", "google_cloud_platform", `"extra":{"key_secret_name":"projects/project/secrets/s/versions/7"}`,
			`{"private_key":"n33dle\\n","client_email":"E","token_uri":"U"}`,
			`"extra":{"keyfile_dict":"{\"private_key\":\"n33dle\\n\",\"client_email\":\"E\",\"token_uri\":\"U\"}","extra__google_cloud_platform__keyfile_dict":"{\"private_key\":\"n33dle\\n\",\"client_email\":\"E\",\"token_uri\":\"U\"}"}`},
		{"gcp", "google_cloud_platform", `"extra":{"key_secret_name":"projects/project/locations/` + cloudtest.Region + `/secrets/s/versions/7"}`,
			`{"private_key":"n33dle","client_email":"E","token_uri":"U"}`,
			`"extra":{"keyfile_dict":"{\"private_key\":\"n33dle\",\"client_email\":\"E\",\"token_uri\":\"U\"}","extra__google_cloud_platform__keyfile_dict":"{\"private_key\":\"n33dle\",\"client_email\":\"E\",\"token_uri\":\"U\"}"}`},
		{"aws", "aws", `"extra":{"key_secret_name":"s"}`,
			`{"aws_access_key_id":"I","aws_secret_access_key":"n33dle"}`, `"login":"I","password":"n33dle"`},
		{"azure", "wasb", `"login":"account","extra":{"key_vault_url":"https://v.vault.azure.net","key_secret_name":"s"}`,
			"n33dle", `"login":"account","password":"n33dle"`},
	} {
		t.Run(row.cloud, func(t *testing.T) {
			c := startClouds(t)
			pod := c.pod("ns", "a")
			c.servers[row.cloud].Hold(func(asking, _, _ string) (string, error) {
				if asking != principal(row.cloud, pod) {
					return "", provider.ErrDenied
				}
				return row.held, nil
			})
			stored, err := airflow.ParseJSON("c", []byte(`{"conn_type":"`+row.connType+`",`+row.fields+`}`))
			require.NoError(t, err)

			e := entry.OfConnection(stored, "1")
			policy.Apply(&e)
			require.NotNil(t, e.Reference, e.Reason())
			reference := *e.Reference
			value, err := c.resolver.Resolve(t.Context(), pod, reference)
			require.NoError(t, err)
			policy.Complete(&e, value)
			require.Equal(t, entry.Delivered, e.State, e.Reason())
			assert.Equal(t, `{"conn_type":"`+row.connType+`",`+row.given+`}`, string(e.Connection.JSON()))
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), "n33dle")

			_, err = c.resolver.Resolve(t.Context(), c.pod("ns", "b"), reference)
			require.ErrorIs(t, err, provider.ErrDenied)
			assert.Contains(t, err.Error(), "reading the secret")
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "n33dle")
		})
	}
}
