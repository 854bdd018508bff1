package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// ofPod are the fetcher's flags that go with any deliverer.
func (c *clouds) ofPod() []string {
	return slices.DeleteFunc(slices.Clone(c.flags), func(flag string) bool { return flag == "--events" || strings.HasPrefix(flag, "--health-address=") })
}

// identity is a pod's of the account at all clouds, with tokens that are new.
func (c *clouds) identity(account string) identity {
	p := c.pod("", account, "")
	return identity{account, p.CloudTokens}
}

// A real OpenBao, read by the pod's own token: values, one that is renewed in a session that lasts, a role that refuses,
// an id that is denied and one that is not there.
func TestBothReadVault(t *testing.T) {
	t.Parallel() // most of the time it waits
	bao := cloudtest.StartBao(t)
	bao.Policy("reads", readsVault)
	bao.Role("reader", "reads", nil, "airflow:reader")
	c := &clouds{}
	c.startAPI(t)
	c.api.Annotate("airflow", "reader", nil)
	c.api.Annotate("airflow", "stranger", nil)
	flags := append(vaultFlags(t, bao), "--kubeconfig="+file(t, "kubeconfig", c.api.Kubeconfig()))
	as := func(account string) identity {
		return identity{account, map[string]string{cloudtest.BaoAudience: bao.Token("airflow", account, cloudtest.BaoAudience, time.Hour).Reveal()}}
	}
	put := func(value string) {
		bao.Put("connections/warehouse", map[string]any{"conn_uri": "postgres://etl:" + cloudNeedle + value + "@h/s"})
	}
	options := stack.Options{Connections: "{}", Variables: "{}", Rules: direct}
	var lines [][]layout.Entry
	overBothOf(t, options, flags, func(s scenario) {
		*s.identity = as("reader")
		put("first")
		bao.Put("variables/env", map[string]any{"value": cloudNeedle + " of a variable"})
		require.NoError(s, s.begin(map[string]string{"source": "vault", "connections": "warehouse, forbidden?, none?", "variables": "env", "refresh": "5s"}))
		assert.Equal(s, "postgres://etl:"+cloudNeedle+"first@h/s", s.value("warehouse"))
		lines = append(lines, s.lines())
		*s.identity = as("reader")
		require.NoError(s, s.renew())
		put("second")
		s.within(testwait.Limit, "a rotation, at the next look", func() bool { return s.value("warehouse") == "postgres://etl:"+cloudNeedle+"second@h/s" })
		for _, token := range s.identity.tokens {
			assert.NotContains(s, s.output(), token)
		}
	})
	assert.Equal(t, lines[0], lines[1])
	overBothOf(t, options, flags, func(s scenario) {
		*s.identity = as("stranger")
		require.ErrorContains(s, s.begin(map[string]string{"source": "vault", "connections": "warehouse"}), "role reader of the auth method at jwt does not take it")
	})
	overBothOf(t, options, flags, func(s scenario) {
		*s.identity = identity{"reader", map[string]string{}}
		says := map[bool]string{true: "tokenRequests", false: "project a serviceAccountToken with"}
		require.ErrorContains(s, s.begin(map[string]string{"source": "vault", "connections": "warehouse"}), says[s.Kubelet != nil])
	})
}

// lines are the manifest's, without what differs from core to core.
func (s scenario) lines() []layout.Entry {
	s.Helper()
	shown, err := mount.LookInto(s.dir())
	require.NoError(s, err)
	for i := range shown.Manifest.Entries {
		shown.Manifest.Entries[i].Version = ""
	}
	return shown.Manifest.Entries
}

// The stores of the clouds, Secrets of the namespace, and references of core's connections into them, each by the pod's own identity there.
func TestBothReadTheClouds(t *testing.T) {
	t.Parallel() // most of the time it waits
	c := newClouds(t)
	var isSecond atomic.Bool
	kept := func() string {
		return "postgres://etl:" + cloudNeedle + map[bool]string{false: "first", true: "second"}[isSecond.Load()] + "@h/s"
	}
	c.servers["s3"].Hold(func(principal, name, _ string) (string, error) {
		if name == "s3-key" {
			return key("s3", principal), nil
		}
		return kept(), nil
	})
	flags := append(c.ofPod(), "--source-aws-secretsmanager-kwargs={}", `--source-aws-ssm-kwargs={"endpoint_url": "`+c.servers["s3"].URL()+`"}`)
	c.store("etl", "stored", map[string]string{"uri": "postgres://etl:" + cloudNeedle + "kept@h/s"})
	identityOf := func() identity { // with a token for the API server besides
		who := c.identity("etl")
		who.tokens[""] = c.secretsPod(t, "a", "etl", "", time.Now().Add(time.Hour)).CloudTokens[""]
		return who
	}
	wanted := map[string]string{"connections": "warehouse@aws-secretsmanager, other@aws-ssm, stored@kubernetes, s3, gcs, blob", "format": "json", "refresh": "5s"}
	var lines [][]layout.Entry
	overBothOf(t, stack.Options{Connections: asJSON(t, references), Variables: "{}", Rules: direct}, flags, func(s scenario) {
		isSecond.Store(false)
		*s.identity = identityOf()
		require.NoError(s, s.begin(wanted))
		lines = append(lines, s.lines())
		for id, principal := range principals("etl") {
			assert.Contains(s, s.value(id), principal, "what the cloud gave to %s", id)
		}
		assert.Contains(s, s.value("warehouse"), cloudNeedle+"first")
		assert.Contains(s, s.value("stored"), cloudNeedle+"kept")
		*s.identity = identityOf()
		require.NoError(s, s.renew())
		isSecond.Store(true)
		s.within(testwait.Limit, "a rotation, at the next look", func() bool {
			return strings.Contains(s.value("warehouse"), "second") && strings.Contains(s.value("other"), "second")
		})
	})
	assert.Equal(t, lines[0], lines[1])
}

// A connection without credentials: the pod's own token for each cloud, renewed in its place without a generation, and
// what the agent sets of it.
func TestBothBringAnIdentity(t *testing.T) {
	c := newClouds(t)
	connections := asJSON(t, map[string]any{
		"lake": map[string]any{"conn_type": "google_cloud_platform"}, "aws_default": map[string]any{"conn_type": "aws"},
		"wasb_default": map[string]any{"conn_type": "wasb", "host": "https://account.blob.core.windows.net"},
	})
	options := stack.Options{Connections: connections, Variables: "{}", Rules: direct}
	files := map[string]string{"gcp": cloudtest.GCPTokenAudience, "aws": cloudtest.AWSTokenAudience, "azure": cloudtest.AzureTokenAudience}
	var seen [2][]string
	round := 0
	overBothOf(t, options, c.ofPod(), func(s scenario) {
		*s.identity = c.identity("etl")
		require.NoError(s, s.begin(map[string]string{"connections": "lake, aws_default, wasb_default", "keyless": "*"}))
		first, err := mount.LookInto(s.dir())
		require.NoError(s, err)
		show := func(cloud string) string {
			text, err := os.ReadFile(filepath.Join(s.dir(), "identity", cloud+".token"))
			require.NoError(s, err)
			return string(text)
		}
		for range 2 {
			for cloud, audience := range files {
				s.within(testwait.Limit, "the token of "+cloud, func() bool { return show(cloud) == s.identity.tokens[audience] })
				assert.NotContains(s, s.output(), s.identity.tokens[audience])
			}
			*s.identity = c.identity("etl")
			require.NoError(s, s.renew())
		}
		now, err := mount.LookInto(s.dir())
		require.NoError(s, err)
		assert.Equal(s, first.Manifest.Generation, now.Manifest.Generation)
		out, err := testwait.Command(s, filepath.Join(binaries(s.T), "agent"), "env", "--dir", s.dir(), "--format", "json").Output()
		require.NoError(s, err)
		seen[round] = append(seen[round], strings.ReplaceAll(string(out), s.dir(), "DIR"))
		for _, name := range []string{"aws.config", "gcp.json"} {
			text, err := os.ReadFile(filepath.Join(s.dir(), "identity", name))
			require.NoError(s, err)
			seen[round] = append(seen[round], strings.ReplaceAll(string(text), s.dir(), "DIR"))
		}
		round++
	})
	assert.Equal(t, seen[0], seen[1])
	assert.Contains(t, seen[1][0], `"AWS_ROLE_ARN": "`+role("etl")+`"`)

	overBothOf(t, options, c.ofPod(), func(s scenario) {
		*s.identity = c.identity("etl")
		delete(s.identity.tokens, cloudtest.AWSTokenAudience)
		err := s.begin(map[string]string{"connections": "aws_default", "keyless": "aws_default"})
		says := map[bool]string{true: "list it under tokenRequests of the CSIDriver", false: "project a serviceAccountToken with that audience into the pod, and list its file"}
		require.ErrorContains(s, err, says[s.Kubelet != nil])
	})
}
