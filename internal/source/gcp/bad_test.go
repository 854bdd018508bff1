package gcp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/gcp"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

func TestWhatSecretManagerAnswers(t *testing.T) {
	served, server := startStore(t, ofProject)
	for _, row := range []struct {
		name   string
		status int
		body   string
		state  string // of the entry; empty where none is told of
		kind   error
		says   string
	}{
		{"disabled or destroyed", 412, "Secret Version [projects/1/secrets/x/versions/4] is in DESTROYED state.", "missing", nil, "FailedPrecondition; there is no projects/project/secrets/airflow-connections-x, or its latest version is disabled or destroyed"},
		{"a key that is disabled", 412, "The Cloud KMS key projects/1/locations/global/keyRings/r/cryptoKeys/k is not enabled.", "invalid", nil,
			"FailedPrecondition, of its key in Cloud KMS; enable the key"},
		{"an old word for a version", 412, "Secret Version [projects/1/secrets/x/versions/4] is not in ENABLED state.", "missing", nil, "or its latest version is disabled or destroyed"},
		{"a version of a secret called KMS", 412, "Secret Version [projects/1/secrets/KMS/versions/4] is in DISABLED state.", "missing", nil, "or its latest version is disabled or destroyed"},
		{"a key by its name", 412, "projects/1/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1 is not enabled, current state is: DESTROYED.", "invalid", nil, "enable the key"},
		{"another precondition", 412, "n33dle", "invalid", nil, "look at the state of the secret's latest version and of its key"},
		{"missing, or in another region", 404, "", "missing", nil, "there is no projects/project/secrets/airflow-connections-x"},
		{"denied, or a key that is", 403, "", "denied", nil, "grant roles/secretmanager.secretAccessor on projects/project/secrets/airflow-connections-x"},
		{"a name that it refuses", 400, "", "invalid", nil, "InvalidArgument"},
		{"throttled", 429, "", "", provider.ErrUnavailable, "ResourceExhausted"},
		{"away", 503, "", "", provider.ErrUnavailable, "Unavailable"},
		{"a mesh without a way there", 501, "", "", provider.ErrUnavailable, "and not from the store"},
		{"a mesh that denies", 403, "RBAC: access denied", "", provider.ErrUnavailable, "and not from the store"},
		{"a token that ended", 401, "", "", provider.ErrUnauthenticated, "Unauthenticated"},
	} {
		t.Run(row.name, func(t *testing.T) {
			server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: row.status, Body: row.body}))
			cloudtest.Tells(t, served, server.Tokens.Pod("team", row.name, cloudtest.GCPTokenAudience), row.state, row.kind, row.says)
		})
	}
}

func TestRegionalSecrets(t *testing.T) {
	server := cloudtest.StartGCP(t, cloudtest.NewTokens())
	config := gcp.Config{
		Audience: cloudtest.GCPAudience, Endpoint: server.Address, RegionalEndpoint: server.RegionalAddress, Region: cloudtest.Region,
		STSURL: server.URL() + "/token", IAMURL: server.URL(), Roots: server.Roots(), HTTP: server.Client(),
	}
	made, err := gcp.NewStore(config, ofProject)
	require.NoError(t, err)
	served := store.New("gcp-secretmanager", made, secretmanager.Config{})
	t.Cleanup(func() { assert.NoError(t, served.Close()) })
	const below = "projects/project/locations/" + cloudtest.Region + "/secrets/airflow-variables-"
	held := server.HoldSecrets()
	held.Set(below+"env", "prod")
	held.Deny(below + "denied")
	entries, err := served.Fetch(t.Context(), server.Tokens.Pod("team", "a", cloudtest.GCPTokenAudience), providertest.Names(nil, []string{"env", "denied"}))
	require.NoError(t, err)
	assert.Equal(t, "prod", entries[0].Text.Reveal())
	assert.Equal(t, entry.Denied, entries[1].State)
	assert.Contains(t, entries[1].Notices[0].Message, "on "+below+"denied to the pod's identity")

	config.Region = "s3"
	_, err = gcp.NewStore(config, ofProject)
	require.ErrorContains(t, err, "no region of Google Cloud is called s3")
}

// What Google says of a project, or of the network that a node is in, is no decision about a secret, and takes no file from a pod.
func TestWhatIsRefusedToAProject(t *testing.T) {
	served, server := startStore(t, ofProject)
	for reason, row := range map[string]struct {
		state string
		says  string
	}{
		"googleapis.com/SERVICE_DISABLED":          {"", "its API is not enabled in the project"},
		"googleapis.com/SECURITY_POLICY_VIOLATED":  {"", "a perimeter of VPC Service Controls does not admit this node"},
		"googleapis.com/SOMETHING_NEW":             {"", "look at its state"},
		"iam.googleapis.com/IAM_PERMISSION_DENIED": {"denied", "grant roles/secretmanager.secretAccessor on"},
		"googleapis.com/IAM_PERMISSION_DENIED":     {"denied", "grant roles/secretmanager.secretAccessor on"},
	} {
		t.Run(reason, func(t *testing.T) {
			server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: http.StatusForbidden, Code: reason}))
			pod := server.Tokens.Pod("team", strings.ReplaceAll(reason, "/", "."), cloudtest.GCPTokenAudience)
			cloudtest.Tells(t, served, pod, row.state, provider.ErrUnavailable, row.says)
		})
	}
}

// A gateway or a proxy before the store denies and does not find, too, and takes no file from a pod by that. gRPC has codes
// for what it says over HTTP.
func TestWhatIsNotOfSecretManager(t *testing.T) {
	server := cloudtest.StartGCP(t, cloudtest.NewTokens())
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound} {
		gateway := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>n33dle")
		}))
		gateway.EnableHTTP2 = true
		gateway.StartTLS()
		defer gateway.Close()
		roots := server.Roots().Clone()
		roots.AddCert(gateway.Certificate())
		made, err := gcp.NewStore(gcp.Config{
			Audience: cloudtest.GCPAudience, Endpoint: strings.TrimPrefix(gateway.URL, "https://"),
			STSURL: server.URL() + "/token", IAMURL: server.URL(), Roots: roots, HTTP: server.Client(),
		}, ofProject)
		require.NoError(t, err)
		served := store.New("gcp-secretmanager", made, secretmanager.Config{})
		defer func() { assert.NoError(t, served.Close()) }()
		cloudtest.Tells(t, served, server.Tokens.Pod("team", "a", cloudtest.GCPTokenAudience), "", provider.ErrUnavailable, "and not from the store")
	}
}
