package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// cloudNeedle is what every secret, token and server's word of cloudtest and kubetest
// begins with.
const cloudNeedle = "n33dle"

// clouds are a stack whose driver resolves references at local servers of all three
// clouds, and asks a local API server about service accounts.
type clouds struct {
	*stack.Stack
	tokens  *cloudtest.Tokens
	servers map[string]*cloudtest.Server
	api     *kubetest.Server
	token   string
	metrics scraped
	// flags are the driver's.
	flags []string
}

// references are connections of core's that hold one into each cloud, and one that
// holds none.
var references = map[string]any{
	"gcs":       map[string]any{"conn_type": "google_cloud_platform", "extra": map[string]any{"key_secret_name": "gcs-key", "key_secret_project_id": "project"}},
	"s3":        map[string]any{"conn_type": "aws", "extra": map[string]any{"key_secret_name": "s3-key"}},
	"blob":      map[string]any{"conn_type": "wasb", "login": "account", "extra": map[string]any{"key_vault_url": "https://v.vault.azure.net", "key_secret_name": "blob-key"}},
	"warehouse": "postgres://etl@db/main",
}

func startClouds(t *testing.T) *clouds {
	t.Helper()
	c := newClouds(t)
	c.start(t)
	return c
}

// newClouds has the servers, and no stack yet.
func newClouds(t *testing.T) *clouds {
	t.Helper()
	c := &clouds{tokens: cloudtest.NewTokens(), metrics: unused(t)}
	google, amazon, microsoft := cloudtest.StartGCP(t, c.tokens), cloudtest.StartAWS(t, c.tokens), cloudtest.StartAzure(t, c.tokens)
	google.MayImpersonate = func(subject, account string) bool { return account == email(subject) }
	c.servers = map[string]*cloudtest.Server{"gcs": google.Server, "s3": amazon.Server, "blob": microsoft.Server}
	for id, server := range c.servers {
		server.Hold(func(principal, _, _ string) (string, error) { return key(id, principal), nil })
	}
	c.startAPI(t)
	var authorities []byte
	for _, server := range c.servers {
		authorities = append(authorities, server.Certificate()...)
	}
	c.flags = []string{
		"--log-level=debug", "--health-address=" + c.metrics.address, "--events", "--kubernetes-secrets", "--kubeconfig=" + file(t, "kubeconfig", c.api.Kubeconfig()),
		"--clouds=gcp,aws,azure", "--cloud-ca=" + file(t, "ca.crt", authorities),
		"--gcp-audience=" + cloudtest.GCPAudience, "--gcp-endpoint=" + google.Address, "--gcp-regional-endpoint=" + google.RegionalAddress,
		"--gcp-sts-url=" + google.URL() + "/token", "--gcp-iam-url=" + google.URL(),
		"--aws-region=eu-west-1", "--aws-endpoint=" + amazon.URL(), "--aws-sts-endpoint=" + amazon.URL(),
		"--azure-authority-host=" + microsoft.URL(), "--azure-vault-endpoint=" + microsoft.URL(),
	}
	return c
}

func (c *clouds) start(t *testing.T, more ...string) {
	t.Helper()
	c.Stack = start(t, stack.Options{Connections: asJSON(t, references), Variables: "{}", Rules: allowAll, DriverArgs: append(c.flags, more...)})
	c.token = token(t, c.Stack)
}

// file writes a file that the programs read.
func file(t *testing.T, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func (c *clouds) startAPI(t *testing.T) {
	t.Helper()
	api, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() {
		api.CloseClientConnections()
		api.Close()
	})
	c.api = api
}

// pod is a pod of a service account that has an identity of its own at every cloud.
func (c *clouds) pod(name, serviceAccount, connections string) stack.Pod {
	c.api.Annotate("airflow", serviceAccount, map[string]string{
		"iam.gke.io/gcp-service-account":    email("airflow/" + serviceAccount),
		"eks.amazonaws.com/role-arn":        role(serviceAccount),
		"azure.workload.identity/client-id": "client-" + serviceAccount,
		"azure.workload.identity/tenant-id": cloudtest.AzureTenant,
	})
	identity := c.tokens.Pod("airflow", serviceAccount, cloudtest.GCPTokenAudience, cloudtest.AWSTokenAudience, cloudtest.AzureTokenAudience)
	p := pod(name, c.token, map[string]string{"connections": connections, "format": "json"})
	p.ServiceAccount, p.CloudTokens = serviceAccount, map[string]string{}
	for audience, text := range identity.CloudTokens {
		p.CloudTokens[audience] = text.Reveal()
	}
	return p
}

func email(subject string) string {
	return strings.ReplaceAll(subject, "/", "-") + "@p.iam.gserviceaccount.com"
}

func role(serviceAccount string) string { return "arn:aws:iam::123456789012:role/" + serviceAccount }

// principals are how the clouds know a service account.
func principals(serviceAccount string) map[string]string {
	subject := "airflow/" + serviceAccount
	return map[string]string{
		"gcs":  email(subject),
		"s3":   subject + " as " + role(serviceAccount),
		"blob": subject + " as client-" + serviceAccount + " in " + cloudtest.AzureTenant,
	}
}

// key is a key as each cloud's hook wants it, which tells whose it is.
func key(id, principal string) string {
	whose := cloudNeedle + " of " + principal
	switch id {
	case "gcs":
		return `{"type":"service_account","client_email":"e@p","token_uri":"https://t","private_key":"` + whose + `"}`
	case "s3":
		return `{"aws_access_key_id":"AKIA","aws_secret_access_key":"` + whose + `"}`
	default:
		return whose
	}
}

func (c *clouds) read(t *testing.T, p stack.Pod, id string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.Kubelet.Target(p), "connections", id))
	require.NoError(t, err)
	return string(content)
}

// entries are those of the pod's manifest, by id.
func (c *clouds) entries(t *testing.T, p stack.Pod) map[string]layout.Entry {
	t.Helper()
	shown, err := mount.Current(c.Kubelet.Target(p))
	require.NoError(t, err)
	entries := map[string]layout.Entry{}
	for _, entry := range shown.Manifest.Entries {
		entries[entry.ID] = entry
	}
	assert.NotContains(t, asJSON(t, shown.Manifest), cloudNeedle)
	return entries
}

// noNeedle searches what the programs wrote, and what the API server was told.
func (c *clouds) noNeedle(t *testing.T) {
	t.Helper()
	assert.NotContains(t, c.NodeOutput(), cloudNeedle, "the driver's log")
	assert.NotContains(t, c.Core.Output(), cloudNeedle, "core's log")
	assert.NotContains(t, asJSON(t, c.api.Events()), cloudNeedle, "an event")
	page := c.metrics.page(t)
	assert.Contains(t, page, "leoflow_csi_", "metrics there are")
	assert.NotContains(t, page, cloudNeedle, "a metric")
}

func TestReferencesAreResolvedUnderThePodsOwnIdentity(t *testing.T) {
	c := startClouds(t)
	for _, account := range []string{"a", "b"} {
		p := c.pod(account, account, "gcs, s3, blob, warehouse")
		require.NoError(t, c.Kubelet.Publish(t.Context(), p))
		for id, principal := range principals(account) {
			assert.Contains(t, c.read(t, p, id), cloudNeedle+" of "+principal)
			assert.NotContains(t, c.read(t, p, id), "key_secret_name")
			assert.NotContains(t, c.read(t, p, id), "key_vault_url")
		}
		assert.Equal(t, "runtime", c.entries(t, p)["gcs"].Grade.State)
	}
	c.noNeedle(t)
}

func TestManyPodsShareACallOfTheirIdentity(t *testing.T) {
	c := startClouds(t)
	var all sync.WaitGroup
	for i := range 110 {
		account := fmt.Sprintf("sa%d", i%2)
		p := c.pod(fmt.Sprintf("p%d", i), account, "gcs, s3, blob")
		all.Go(func() {
			if !assert.NoError(t, c.Kubelet.Publish(t.Context(), p)) {
				return
			}
			for id, principal := range principals(account) {
				assert.Contains(t, c.read(t, p, id), cloudNeedle+" of "+principal)
			}
		})
	}
	all.Wait()
	for id, server := range c.servers {
		assert.Equal(t, 2, server.Calls(cloudtest.Access), id)
		assert.Equal(t, 2, server.Calls(cloudtest.Exchange), id)
	}
	c.noNeedle(t)
}

// TestACloudThatFailsFailsItsEntryAlone has each way to fail met by an optional entry
// of each cloud, beside one that has nothing to do with it.
func TestACloudThatFailsFailsItsEntryAlone(t *testing.T) {
	c := startClouds(t)
	t.Run("an API server that is away", func(t *testing.T) {
		c.api.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		defer c.api.Answer(nil)
		p := c.pod("without", "sa-away", "warehouse")
		require.NoError(t, c.Kubelet.Publish(t.Context(), p), "neither annotations nor events hold up what needs none")
		assert.Contains(t, c.read(t, p, "warehouse"), "etl")
		err := c.Kubelet.Publish(t.Context(), c.pod("away", "sa-away", "gcs?, warehouse"))
		require.ErrorContains(t, err, `code = Unavailable desc = connection "gcs" cannot be completed now: `)
		require.ErrorContains(t, err, "reading service account airflow/sa-away: the API server answers with status 500 (unavailable)")
	})
	t.Run("required", func(t *testing.T) {
		c.servers["gcs"].Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: http.StatusForbidden}))
		err := c.Kubelet.Publish(t.Context(), c.pod("required", "required", "gcs, warehouse"))
		require.ErrorContains(t, err, `connection "gcs" cannot be delivered: `)
		assert.ErrorContains(t, err, `field "extra.key_secret_name": `)
		require.Eventually(t, func() bool {
			for _, event := range c.api.Events() {
				if event.InvolvedObject.Name == "required" && event.Reason == "ReferenceUnresolved" {
					return strings.Contains(event.Message, `connection "gcs" cannot be delivered: `)
				}
			}
			return false
		}, testwait.Limit, 10*time.Millisecond)
	})
	for _, row := range []struct {
		name   string
		status int
		expire bool
		remedy string
	}{
		{name: "403", status: http.StatusForbidden, remedy: "(denied); at the cloud, grant it to the identity of the pod's service account"},
		{name: "404", status: http.StatusNotFound, remedy: "(missing); create the secret, or correct the reference"},
		{name: "429", status: http.StatusTooManyRequests, remedy: "(unavailable); wait, it is tried again"},
		{name: "expired", expire: true, remedy: "(unauthenticated); check that the cloud trusts this cluster's tokens"},
		// The last, for nobody asks there for a while then.
		{name: "503", status: http.StatusServiceUnavailable, remedy: "(unavailable); wait, it is tried again"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := c.pod(row.name, "sa-"+row.name, "gcs?, s3?, blob?, warehouse")
			for _, server := range c.servers {
				server.Break(cloudtest.At(cloudtest.Access, cloudtest.Fault{Status: row.status}))
				if row.expire {
					server.Mend()
				}
			}
			if row.expire {
				p.CloudTokens = map[string]string{
					cloudtest.GCPTokenAudience: cloudNeedle, cloudtest.AWSTokenAudience: cloudNeedle, cloudtest.AzureTokenAudience: cloudNeedle,
				}
			}
			err := c.Kubelet.Publish(t.Context(), p)
			if strings.HasPrefix(row.remedy, "(unavailable)") {
				require.ErrorContains(t, err, "code = Unavailable", "an outage is not taken for absence")
				require.ErrorContains(t, err, row.remedy)
				return
			}
			require.NoError(t, err)
			assert.Contains(t, c.read(t, p, "warehouse"), "etl")
			for id := range c.servers {
				entry := c.entries(t, p)[id]
				assert.Equal(t, layout.Invalid, entry.State)
				require.NotEmpty(t, entry.Notices)
				assert.Contains(t, entry.Notices[0].Message, `field "extra.key_secret_name": resolving reference: `)
				assert.Contains(t, entry.Notices[0].Message, row.remedy)
			}
		})
	}
	c.noNeedle(t)
}
