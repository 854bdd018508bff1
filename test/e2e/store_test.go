package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/cloudtest"
	"github.com/leoflow/secrets-csi/internal/source/vault"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// readsVault lets a role read all connections and variables but one.
const readsVault = `
path "secret/data/connections/*" { capabilities = ["read"] }
path "secret/data/variables/*" { capabilities = ["read"] }
path "secret/data/connections/forbidden" { capabilities = ["deny"] }
`

// vaultNode is a stack whose driver reads a real OpenBao, and asks a local API server about service accounts.
type vaultNode struct {
	*clouds
	bao *cloudtest.Bao
}

func startVault(t *testing.T) *vaultNode {
	t.Helper()
	n := &vaultNode{clouds: &clouds{metrics: unused(t)}, bao: cloudtest.StartBao(t)}
	n.startAPI(t)
	n.bao.Policy("reads", readsVault)
	n.bao.Role("reader", "reads", nil, "airflow:reader")
	n.bao.Role("other", "reads", nil, "airflow:other")
	n.api.Annotate("airflow", "reader", nil)
	n.api.Annotate("airflow", "stranger", nil)
	n.api.Annotate("airflow", "other", map[string]string{vault.RoleAnnotation: "other"})
	n.Stack = start(t, stack.Options{Connections: "{}", Variables: "{}", Rules: allowAll, DriverArgs: append(vaultFlags(t, n.bao),
		"--kubeconfig="+file(t, "kubeconfig", n.api.Kubeconfig()), "--log-level=debug", "--events", "--health-address="+n.metrics.address)})
	return n
}

// vaultFlags are the driver's for OpenBao.
func vaultFlags(t *testing.T, bao *cloudtest.Bao) []string {
	t.Helper()
	return []string{
		"--source-vault-kwargs=@" + file(t, "kwargs.json", []byte(bao.Kwargs("reader", nil))),
		"--source-vault-ca=" + file(t, "vault.crt", bao.Certificate()),
	}
}

// pod is one that reads OpenBao by its own token, which kubelet renews as often as it publishes again.
func (n *vaultNode) pod(name, serviceAccount, connections string) stack.Pod {
	return n.podOf("airflow", name, serviceAccount, connections, time.Hour)
}

func (n *vaultNode) podOf(namespace, name, serviceAccount, connections string, lasting time.Duration) stack.Pod {
	made := n.bao.Token(namespace, serviceAccount, cloudtest.BaoAudience, lasting).Reveal()
	p := pod(name, made, map[string]string{"source": "vault", "connections": connections, "refresh": "5s"})
	p.Namespace, p.ServiceAccount, p.CloudTokens = namespace, serviceAccount, map[string]string{cloudtest.BaoAudience: made}
	return p
}

// hears waits for an event about a pod.
func (n *vaultNode) hears(t *testing.T, podName, reason, message string) {
	t.Helper()
	assert.Eventually(t, func() bool {
		for _, event := range n.api.Events() {
			if event.InvolvedObject.Name == podName && event.Reason == reason && strings.Contains(event.Message, message) {
				return true
			}
		}
		return false
	}, testwait.Limit, 20*time.Millisecond, "no event %s on %s with %q", reason, podName, message)
	if t.Failed() {
		t.Log(asJSON(t, n.api.Events()))
	}
}

// noNeedle searches whatever leaves the volumes for values and tokens.
func (n *vaultNode) noNeedle(t *testing.T, tokens ...string) {
	t.Helper()
	n.clouds.noNeedle(t)
	for _, token := range tokens {
		assert.NotContains(t, n.NodeOutput()+asJSON(t, n.api.Events())+n.metrics.page(t), token)
	}
}

func TestAPodReadsVaultByItsOwnToken(t *testing.T) {
	n := startVault(t)
	n.bao.Put("connections/warehouse", map[string]any{"conn_uri": "postgres://etl:" + cloudNeedle + "@h/s"})
	n.bao.Put("connections/lake", map[string]any{"conn_type": "aws", "extra": map[string]any{"region_name": "eu-west-1"}})
	n.bao.Put("variables/env", map[string]any{"value": cloudNeedle + " of a variable"})
	p := n.pod("reads", "reader", "warehouse, lake")
	p.Attributes["variables"] = "env"
	require.NoError(t, n.Kubelet.Publish(t.Context(), p))

	assert.Equal(t, "postgres://etl:"+cloudNeedle+"@h/s", n.read(t, p, "warehouse"))
	assert.Equal(t, "aws:///?__extra__=%7B%22region_name%22%3A%22eu-west-1%22%7D", n.read(t, p, "lake"))
	variable, err := os.ReadFile(filepath.Join(n.Kubelet.Target(p), "variables", "env"))
	require.NoError(t, err)
	assert.Equal(t, cloudNeedle+" of a variable", string(variable))
	assert.Equal(t, "vault", n.entries(t, p)["warehouse"].Source)

	// Another service account logs in to the role of its annotation, one without any right to nothing.
	require.NoError(t, n.Kubelet.Publish(t.Context(), n.pod("annotated", "other", "warehouse")))
	stranger := n.pod("stranger", "stranger", "warehouse")
	err = n.Kubelet.Publish(t.Context(), stranger)
	require.ErrorContains(t, err, "role reader of the auth method at jwt does not take it")
	assert.Len(t, n.bao.Asked("POST auth/jwt/login"), 3)
	page := n.metrics.page(t)
	assert.Equal(t, 4., valueOf(t, page, `leoflow_csi_source_calls_total{code="OK",source="vault"}`), "three entries of the one pod, and one of the other")
	assert.Equal(t, 1., valueOf(t, page, `leoflow_csi_source_calls_total{code="Unauthenticated",source="vault"}`))
	n.noNeedle(t, p.Token, stranger.Token)
}

func TestWhatChangesInVaultReachesPods(t *testing.T) {
	t.Parallel() // most of the time it waits
	n := startVault(t)
	put := func(id, word string) {
		n.bao.Put("connections/"+id, map[string]any{"conn_uri": "postgres://u:" + cloudNeedle + word + "@h"})
	}
	for _, id := range []string{"rotated", "deleted", "denied", "spoilt", "stays"} {
		put(id, "first")
	}
	p := n.pod("runs", "reader", "rotated, deleted, denied, spoilt, stays")
	require.NoError(t, n.Kubelet.Publish(t.Context(), p))

	put("rotated", "second")
	n.bao.Do(http.MethodDelete, "secret/data/connections/deleted", nil)
	n.bao.Put("connections/spoilt", map[string]any{"conn_type": "http", "port": "none"})
	n.bao.Policy("reads", readsVault+`path "secret/data/connections/denied" { capabilities = ["deny"] }`)
	changed := time.Now()
	assert.Eventually(t, func() bool { return strings.Contains(n.read(t, p, "rotated"), "second") }, testwait.Limit, 20*time.Millisecond)
	assert.Less(t, time.Since(changed), 30*time.Second)
	n.hears(t, "runs", "EntryWithdrawn", `connection "deleted"`)
	n.hears(t, "runs", "EntryWithdrawn", `connection "denied"`)
	n.hears(t, "runs", "EntryInvalid", `connection "spoilt"`)
	told := n.entries(t, p)
	assert.Equal(t, layout.Missing, told["deleted"].State)
	assert.Equal(t, layout.Denied, told["denied"].State)
	require.NotNil(t, told["spoilt"].Held)
	assert.Contains(t, told["spoilt"].Held.Why, "port")
	for _, id := range []string{"spoilt", "stays"} {
		assert.Contains(t, n.read(t, p, id), "first")
	}
	for _, id := range []string{"deleted", "denied"} {
		assert.NoFileExists(t, filepath.Join(n.Kubelet.Target(p), "connections", id))
	}

	n.bao.Seal()
	asked := len(n.bao.Asked("GET "))
	require.Eventually(t, func() bool { return len(n.bao.Asked("GET ")) > asked+5 }, testwait.Limit, 20*time.Millisecond, "it is asked again")
	assert.Contains(t, n.read(t, p, "rotated"), "second", "a sealed Vault takes nothing away")
	n.bao.Unseal()
	put("rotated", "third")
	assert.Eventually(t, func() bool { return strings.Contains(n.read(t, p, "rotated"), "third") }, testwait.Limit, 20*time.Millisecond)
	n.noNeedle(t, p.Token)
}

// TestAChangeIsOneCallForAllPodsOfANode has as many pods as a node runs be alike.
func TestAChangeIsOneCallForAllPodsOfANode(t *testing.T) {
	const nodePods, path = 110, "GET secret/data/connections/warehouse"
	n := startVault(t)
	put := func(word string) {
		n.bao.Put("connections/warehouse", map[string]any{"conn_uri": "postgres://u:" + cloudNeedle + word + "@h"})
	}
	put("first")
	began, pods := time.Now(), make([]stack.Pod, nodePods)
	for i := range pods {
		pods[i] = n.pod(fmt.Sprint("alike-", i), "reader", "warehouse")
		require.NoError(t, n.Kubelet.Publish(t.Context(), pods[i]))
	}
	shared := 1 + int(time.Since(began)/(5*time.Second)) // for which an answer is another pod's, too
	assert.LessOrEqual(t, len(n.bao.Asked(path)), shared)
	require.Len(t, n.bao.Asked("POST auth/jwt/login"), 1)

	asked := len(n.bao.Asked(path))
	put("second")
	for _, p := range pods {
		require.Eventually(t, func() bool { return strings.Contains(n.read(t, p, "warehouse"), "second") }, testwait.Limit, 10*time.Millisecond)
	}
	assert.LessOrEqual(t, len(n.bao.Asked(path))-asked, 2, "the look that found it, and one that may have begun before it")
	n.noNeedle(t)
}

// TestWhatVaultRefusesIsToldByTheRightWord has each way to fail stop a pod that requires the entry, and by what
// reason and word.
func TestWhatVaultRefusesIsToldByTheRightWord(t *testing.T) {
	t.Parallel() // most of the time it waits
	n := startVault(t)
	n.bao.Put("connections/forbidden", map[string]any{"conn_uri": "http://u:" + cloudNeedle + "@h"})
	n.bao.Put("connections/text", map[string]any{"conn_uri": cloudNeedle})
	n.bao.Put("connections/sound", map[string]any{"conn_uri": "http://u:" + cloudNeedle + "@h"})
	standby := func(*http.Request) *cloudtest.Fault {
		return &cloudtest.Fault{Status: http.StatusTemporaryRedirect, Header: map[string]string{"Location": "https://127.0.0.1:1/" + cloudNeedle}}
	}
	throttled := func(*http.Request) *cloudtest.Fault { return &cloudtest.Fault{Status: http.StatusTooManyRequests} }
	for _, row := range []struct {
		name, entry, code, reason, says string
		audience                        string
		lasting                         time.Duration
		isGone                          bool // the service account
		begin, end                      func()
		state                           layout.State // of an optional entry; empty where the pod waits all the same
	}{
		{name: "missing", entry: "absent", code: "NotFound", reason: "EntryMissing", says: "there is no connections/absent in mount secret", state: layout.Missing},
		{name: "denied", entry: "forbidden", code: "PermissionDenied", reason: "EntryDenied", says: `add path "secret/data/connections/forbidden"`, state: layout.Denied},
		{name: "invalid", entry: "text", code: "FailedPrecondition", reason: "EntryInvalid", says: "type", state: layout.Invalid},
		{name: "token-expired", entry: "sound", lasting: -10 * time.Minute, code: "Unauthenticated", reason: "TokenRefused", says: "role reader of the auth method at jwt does not take it"},
		{name: "token-for-another", entry: "sound", audience: "elsewhere", code: "Unauthenticated", reason: "TokenRefused",
			says: "a token for audience " + cloudtest.BaoAudience + " of issuer https://kubernetes.default.svc"},
		{name: "no-account", entry: "sound", isGone: true, code: "Unauthenticated", reason: "TokenRefused", says: "there is no service account no-account/reader any more"},
		{name: "standby", entry: "sound", code: "Unavailable", reason: "SourceUnavailable", says: "Vault sends the driver to another address",
			begin: func() { n.bao.Break(standby) }, end: n.bao.Mend},
		{name: "throttled", entry: "sound", code: "Unavailable", reason: "SourceUnavailable", says: "HTTP 429",
			begin: func() { n.bao.Break(throttled) }, end: n.bao.Mend},
		{name: "sealed", entry: "sound", code: "Unavailable", reason: "SourceUnavailable", says: "HTTP 503", begin: n.bao.Seal, end: n.bao.Unseal},
		{name: "away", entry: "sound", code: "Unavailable", reason: "SourceUnavailable", says: "no connection can be made", begin: n.bao.Stop},
	} {
		t.Run(row.name, func(t *testing.T) {
			// An outage is of one namespace, and so each row has its own.
			n.bao.Role("reader", "reads", nil, row.name+":reader")
			if !row.isGone {
				n.api.Annotate(row.name, "reader", nil)
			}
			if row.begin != nil {
				row.begin()
			}
			if row.end != nil {
				defer row.end()
			}
			lasting := cmp.Or(row.lasting, time.Hour)
			p := n.podOf(row.name, row.name, "reader", row.entry, lasting)
			if row.audience != "" {
				p.CloudTokens[cloudtest.BaoAudience] = n.bao.Token(row.name, "reader", row.audience, lasting).Reveal()
			}
			err := n.Kubelet.Publish(t.Context(), p)
			require.ErrorContains(t, err, "code = "+row.code)
			require.ErrorContains(t, err, row.says)
			n.hears(t, row.name, row.reason, row.says)

			optional := n.podOf(row.name, "may-be-"+row.name, "reader", row.entry+"?", lasting)
			optional.CloudTokens = p.CloudTokens
			err = n.Kubelet.Publish(t.Context(), optional)
			if row.state == "" {
				require.ErrorContains(t, err, "code = "+row.code, "what is not known is not left out")
				return
			}
			require.NoError(t, err)
			told := n.entries(t, optional)[row.entry]
			assert.Equal(t, row.state, told.State)
			require.NotEmpty(t, told.Notices)
			assert.Contains(t, told.Notices[0].Message, row.says)
		})
	}
	n.noNeedle(t)
}

// Two service accounts of one namespace are no outage to each other.
func TestAThrottledServiceAccountHoldsUpNoOther(t *testing.T) {
	n := startVault(t)
	n.bao.Put("connections/sound", map[string]any{"conn_uri": "http://h"})
	n.bao.Break(func(r *http.Request) *cloudtest.Fault {
		if r.URL.Path == "/v1/secret/data/connections/throttled" {
			return &cloudtest.Fault{Status: http.StatusTooManyRequests}
		}
		return nil
	})
	err := n.Kubelet.Publish(t.Context(), n.pod("throttled", "reader", "throttled"))
	require.ErrorContains(t, err, "HTTP 429")
	began := time.Now()
	require.NoError(t, n.Kubelet.Publish(t.Context(), n.pod("other", "other", "sound")))
	assert.Len(t, n.bao.Asked("GET secret/data/connections/throttled"), 4, "and it is asked no more often than it is waited out")
	t.Logf("the other started in %v", time.Since(began))
}
