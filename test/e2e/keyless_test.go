package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/aws"
	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// startKeyless is a stack whose core has connections without credentials.
func startKeyless(t *testing.T) *clouds {
	t.Helper()
	c := newClouds(t)
	c.Stack = start(t, stack.Options{Variables: "{}", Rules: allowAll, DriverArgs: c.flags, Connections: asJSON(t, map[string]any{
		"lake": map[string]any{"conn_type": "google_cloud_platform"}, "aws_default": map[string]any{"conn_type": "aws"},
		"wasb_default": map[string]any{"conn_type": "wasb", "host": "https://account.blob.core.windows.net"}, "warehouse": "postgres://etl@db/main",
		"keyed": map[string]any{"conn_type": "aws", "login": "AKIA", "password": cloudNeedle},
	})})
	c.token = token(t, c.Stack)
	return c
}

// at is a file of the pod's volume.
func (c *clouds) at(p stack.Pod, path string) string { return filepath.Join(c.Kubelet.Target(p), path) }

func (c *clouds) renewed(p stack.Pod) stack.Pod {
	p.CloudTokens = map[string]string{}
	for audience, text := range c.tokens.Pod("airflow", p.ServiceAccount, cloudtest.GCPTokenAudience, cloudtest.AWSTokenAudience, cloudtest.AzureTokenAudience).CloudTokens {
		p.CloudTokens[audience] = text.Reveal()
	}
	return p
}

// By the real programs: identities of three clouds come into one volume, new tokens into their places, and the
// agent sets what SDKs read.
func TestAPodWithoutKeysShowsItsOwnIdentity(t *testing.T) {
	c := startKeyless(t)
	p := c.pod("keyless", "etl", "lake, aws_default, wasb_default, warehouse")
	require.NoError(t, c.Kubelet.Publish(t.Context(), p))
	tokens := map[string]string{"gcp": cloudtest.GCPTokenAudience, "aws": cloudtest.AWSTokenAudience, "azure": cloudtest.AzureTokenAudience}
	for range 3 {
		for cloud, audience := range tokens {
			shown, err := os.ReadFile(c.at(p, "identity/"+cloud+".token"))
			require.NoError(t, err)
			assert.Equal(t, p.CloudTokens[audience], string(shown), cloud)
		}
		p = c.renewed(p)
		require.NoError(t, c.Kubelet.Publish(t.Context(), p))
	}
	config, err := os.ReadFile(c.at(p, "identity/gcp.json"))
	require.NoError(t, err)
	assert.Contains(t, string(config), `serviceAccounts/`+email("airflow/etl")+`:generateAccessToken"`)
	assert.Equal(t, "aws", c.entries(t, p)["aws_default"].Identity)

	out, err := testwait.Command(t, filepath.Join(binaries(t), "agent"), "env", "--dir", c.Kubelet.Target(p), "--format", "json").Output()
	require.NoError(t, err)
	for _, want := range []string{
		`"AWS_ROLE_ARN": "` + role("etl") + `"`, `"AZURE_CLIENT_ID": "client-etl"`, `"AZURE_TENANT_ID": "` + cloudtest.AzureTenant + `"`,
		`"GOOGLE_APPLICATION_CREDENTIALS": "` + c.at(p, "identity/gcp.json") + `"`, `"AZURE_FEDERATED_TOKEN_FILE": "` + c.at(p, "identity/azure.token") + `"`,
	} {
		assert.Contains(t, string(out), want)
	}
	assert.NotContains(t, string(out), cloudNeedle)
	for id, server := range c.servers {
		assert.Zero(t, server.Calls(cloudtest.Exchange), "%s: nobody but the pod asks", id)
	}
	c.noNeedle(t)
}

func TestKeylessBadInput(t *testing.T) {
	c := startKeyless(t)
	publish := func(name, connections, keyless string, change func(p *stack.Pod)) (stack.Pod, error) {
		p := c.pod(name, "etl", connections)
		p.Attributes["keyless"] = keyless
		change(&p)
		return p, c.Kubelet.Publish(t.Context(), p)
	}
	as := func(*stack.Pod) {}

	_, err := publish("keyed", "keyed", "keyed", as)
	require.ErrorContains(t, err, `connection "keyed" cannot be delivered: it is listed under "keyless": no identity stands for its credentials (a stored key pair)`)
	_, err = publish("ghost", "warehouse", "ghost", as)
	require.ErrorContains(t, err, `keyless: item 1: "ghost" is not listed under "connections"; list it there, too, or leave it out`)
	_, err = publish("missing", "ghost", "ghost", as)
	require.ErrorContains(t, err, `connection "ghost" does not exist in core`)
	_, err = publish("unannotated", "aws_default", "aws_default", func(p *stack.Pod) { p.ServiceAccount = "plain"; c.api.Annotate("airflow", "plain", nil) })
	require.ErrorContains(t, err, `no role to assume: annotate service account airflow/plain with eks.amazonaws.com/role-arn`)
	_, err = publish("misannotated", "aws_default", "*", func(p *stack.Pod) {
		p.ServiceAccount = "wrong"
		c.api.Annotate("airflow", "wrong", map[string]string{aws.RoleAnnotation: "etl"})
	})
	require.ErrorContains(t, err, `connection "aws_default" cannot be delivered: finding the pod's identity: annotation eks.amazonaws.com/role-arn of service account airflow/wrong is not the ARN of a role; correct or remove it`)
	_, err = publish("unbrought", "*", "aws_default, ghost", as)
	require.ErrorContains(t, err, `connection "ghost" does not exist in core: it is listed under "keyless", and "*" brought none of this id`)
	_, err = publish("no token", "aws_default", "aws_default", func(p *stack.Pod) { p.CloudTokens = nil })
	require.ErrorContains(t, err, `kubelet sent no token with audience "sts.amazonaws.com": list it under tokenRequests of the CSIDriver`)

	// Of who does not insist the connection arrives, and says why it has no identity.
	p, err := publish("optional", "aws_default", "aws_default?", func(p *stack.Pod) { p.CloudTokens = nil })
	require.NoError(t, err)
	assert.True(t, c.entries(t, p)["aws_default"].Has(layout.NoticeNoIdentity))
	assert.NoFileExists(t, c.at(p, "identity/aws.token"))

	// An API server that is away: what needs no identity does not wait for it, and what does, waits.
	c.api.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	defer c.api.Answer(nil)
	away := func(p *stack.Pod) { p.ServiceAccount = "away" }
	_, err = publish("away", "warehouse", "", away)
	require.NoError(t, err)
	_, err = publish("waits", "aws_default", "*", away)
	require.ErrorContains(t, err, `code = Unavailable`)
	require.ErrorContains(t, err, "finding the pod's identity at aws: reading service account airflow/away")
	c.noNeedle(t)
}

// A pod that runs keeps its identity while its service account's annotation is written wrongly or gone, and hears of
// it; a new one does not start. What takes the connection away takes the token too.
func TestAnIdentityThatIsLostByAMistakeIsHeld(t *testing.T) {
	c := startKeyless(t)
	p := c.pod("runs", "etl", "aws_default, warehouse")
	p.Attributes["refresh"] = "5s"
	require.NoError(t, c.Kubelet.Publish(t.Context(), p))
	for name, row := range map[string]struct {
		annotations map[string]string
		says        string
	}{
		"wrong": {map[string]string{aws.RoleAnnotation: "etl"}, "annotation eks.amazonaws.com/role-arn of service account airflow/etl is not the ARN of a role"},
		"gone":  {nil, "no role to assume: annotate service account airflow/etl with eks.amazonaws.com/role-arn"},
	} {
		c.api.Annotate("airflow", "etl", row.annotations)
		c.Fetcher.Kill() // the next one has read no service account yet
		require.NoError(t, c.StartFetcher(t.Context()))
		require.Eventually(t, func() bool {
			held := c.entries(t, p)["aws_default"].Held
			return held != nil && strings.Contains(held.Why, row.says)
		}, testwait.Limit, 20*time.Millisecond, name)
		p = c.renewed(p)
		require.NoError(t, c.Kubelet.Publish(t.Context(), p))
		shown, err := os.ReadFile(c.at(p, "identity/aws.token"))
		require.NoError(t, err)
		assert.Equal(t, p.CloudTokens[cloudtest.AWSTokenAudience], string(shown), "with the newest token")
		assert.Equal(t, "aws", c.entries(t, p)["aws_default"].Identity)
		assert.Nil(t, c.entries(t, p)["warehouse"].Held)

		fresh := c.pod(name, "etl", "aws_default")
		fresh.Attributes["keyless"] = "aws_default"
		c.api.Annotate("airflow", "etl", row.annotations) // which making a pod has set
		require.ErrorContains(t, c.Kubelet.Publish(t.Context(), fresh), row.says)
	}
	assert.Eventually(t, func() bool { return c.hasEvent("runs", "EntryInvalid", "held as delivered before") }, testwait.Limit, 20*time.Millisecond, asJSON(t, c.api.Events()))

	require.NoError(t, c.WriteConnections(`{"warehouse": "postgres://etl@db/main"}`))
	require.Eventually(t, func() bool { return c.entries(t, p)["aws_default"].State == layout.Missing }, testwait.Limit, 20*time.Millisecond)
	assert.NoFileExists(t, c.at(p, "identity/aws.token"))
	c.noNeedle(t)
}
