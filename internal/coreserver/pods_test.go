package coreserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
)

// cluster is a core that asks an API server, by client-go, who its callers are. Task
// instances' tokens it knows as before.
type cluster struct {
	*core
	kubernetes *kubetest.Server
}

func startCluster(t testing.TB, change func(*coreserver.Config)) cluster {
	kubernetes, err := kubetest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { kubernetes.CloseClientConnections(); kubernetes.Close() })
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, kubernetes.Kubeconfig(), 0o600))
	settings, err := kube.Config(file)
	require.NoError(t, err)
	reviews, err := kube.NewTokenReviews(settings)
	require.NoError(t, err)
	keys, err := kube.NewIssuerKeys(settings)
	require.NoError(t, err)
	c := startCore(t, func(config *coreserver.Config) {
		config.NodeServiceAccounts = []rule.Subject{{Namespace: "leoflow", ServiceAccount: "driver"}}
		config.Authenticator = auth.Either{
			Tasks: config.Authenticator.(*auth.Tokens),
			Pods: auth.NewPods(auth.PodsConfig{
				Clusters: []auth.Cluster{{Reviewer: reviews, Keys: keys}}, Audience: auth.PodAudience, Log: config.Log,
			}),
		}
		if change != nil {
			change(config)
		}
	})
	c.write("rules.yaml", files["rules.yaml"]+"- {namespaces: [team-*], serviceAccounts: [worker], connections: [warehouse], variables: [env]}\n")
	c.server.Reload()
	return cluster{c, kubernetes}
}

// secrets is for the driver of node-1, unless another certificate is shown.
func (c cluster) secrets(certificates ...tls.Certificate) secretsv1.SecretsServiceClient {
	if len(certificates) == 0 {
		certificates = append(certificates, c.authority.pair("node-1"))
	}
	return c.core.secrets(certificates...)
}

// pod is the token of a pod.
func (c cluster) pod(namespace, serviceAccount, name string) string {
	token, err := c.kubernetes.Sign(kubetest.Token{
		Namespace: namespace, ServiceAccount: serviceAccount, Pod: name, PodUID: "uid of " + name, Node: "node-1",
		Audiences: []string{auth.PodAudience}, Expires: time.Now().Add(time.Hour),
	})
	require.NoError(c.t, err)
	return token.Reveal()
}

// away makes the API server unable to answer.
func (c cluster) away() {
	c.kubernetes.Answer(func(w http.ResponseWriter, _ *http.Request) {
		kubetest.Refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
	})
}

func TestPodsAreDecidedByNamespaceAndServiceAccount(t *testing.T) {
	c := startCluster(t, nil)
	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers:   callers(c.pod("team-a", "worker", "p"), c.pod("team-a", "default", "p"), c.pod("other", "worker", "p"), c.token("audit")),
		Variables: named("env", "region"),
	})
	require.NoError(t, err)
	worker, account, namespace, task := response.Results[0], response.Results[1], response.Results[2], response.Results[3]
	assert.Equal(t, []string{"region: DENIED"}, refusals(worker))
	assert.Equal(t, []string{"env: DENIED", "region: DENIED"}, refusals(account))
	assert.Equal(t, []string{"env: DENIED", "region: DENIED"}, refusals(namespace))
	assert.Empty(t, refusals(task), "a task instance's token is good beside them")

	record := c.records()[0]
	assert.Equal(t, audit.Allowed, record.Decision)
	assert.Equal(t, auth.Caller{Namespace: "team-a", ServiceAccount: "worker", Pod: "p", PodUID: "uid of p", Node: "node-1"}, record.Caller)
}

// A rule for everybody is there from the first trial on.
func TestANodeReadsNothingByItself(t *testing.T) {
	c := startCluster(t, nil)
	c.write("rules.yaml", "rules: [{namespaces: ['*'], serviceAccounts: ['*'], connections: ['*'], variables: ['*']}]")
	c.server.Reload()
	driver, pod := c.pod("leoflow", "driver", "driver-1"), c.pod("leoflow", "worker", "p")
	for _, selection := range []*secretsv1.Selection{named("env"), {All: true}} {
		response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(driver, pod), Variables: selection})
		require.NoError(t, err)
		assert.Empty(t, response.Results[0].Variables)
		assert.NotEmpty(t, response.Results[1].Variables, "who is no node is allowed by the same rule")
	}
	assert.Equal(t, audit.Denied, c.records()[0].Decision)
	assert.Equal(t, "a node may watch, and reads nothing by itself", c.records()[0].Detail)
	response, err := c.agent().GetVariables(bearing(within(t), driver), &agentv1.GetVariablesRequest{})
	require.NoError(t, err)
	assert.Empty(t, response.Variables)
}

func TestPodsMayUseTheExistingContract(t *testing.T) {
	c := startCluster(t, nil)
	agent := agentv1.NewAgentServiceClient(c.dial(c.authority.pair("node-1")))
	response, err := agent.GetVariables(bearing(within(t), c.pod("team-a", "worker", "p")), &agentv1.GetVariablesRequest{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"env": "n33dle-env"}, response.Variables)
}

// A node brings the tokens of all its pods. Each stands for itself, in its place.
func TestFetchKnowsAHundredPodsAtOnce(t *testing.T) {
	c := startCluster(t, nil)
	request := &secretsv1.FetchRequest{Variables: named("env")}
	for i := range 110 {
		account := []string{"worker", "default"}[i%10/9] // of refusals some are only counted
		request.Callers = append(request.Callers, callers(c.pod("team-a", account, fmt.Sprint("p", i)))...)
	}
	request.Callers[7].Token = "n33dle"
	response, err := c.secrets().Fetch(within(t), request)
	require.NoError(t, err)
	for i, record := range c.records() {
		result := response.Results[i]
		switch {
		case i == 7:
			assert.Equal(t, "token refused: it is not a JWT", result.Unauthenticated)
			assert.Equal(t, audit.Unauthenticated, record.Decision)
			continue
		case i%10 < 9:
			assert.Len(t, result.Variables, 1)
		default:
			assert.Empty(t, result.Variables)
		}
		assert.Equal(t, fmt.Sprint("p", i), record.Pod)
	}
	assert.Len(t, c.records(), 110)
}

// That Kubernetes cannot say who asks is nobody's refusal.
func TestCoreIsUnavailableWhileNobodyCanTellWhoAsks(t *testing.T) {
	c := startCluster(t, nil)
	c.away()
	token := c.pod("team-a", "worker", "p")
	_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit"), token), Variables: named("env")})
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, "authenticating caller: token cannot be checked now: the API server answers with status 500", status.Convert(err).Message())
	_, err = c.agent().GetVariables(bearing(within(t), token), &agentv1.GetVariablesRequest{})
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Equal(t, codes.Unavailable, status.Code(c.watchAs(bearing(within(t), token))))
	assert.Empty(t, c.audit.String())

	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")})
	require.NoError(t, err, "who does not depend on it is served")
	assert.Len(t, response.Variables, 1)
}

// watchAs is why a watch does not come to be; nil where it does.
func (c *core) watchAs(ctx context.Context, certificates ...tls.Certificate) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.secrets(certificates...).Watch(ctx, &secretsv1.WatchRequest{})
	require.NoError(c.t, err)
	_, err = stream.Recv()
	return err
}

func TestWatchAdmitsNodesAndIsAudited(t *testing.T) {
	c := startCluster(t, nil)
	withoutCA := startCluster(t, func(config *coreserver.Config) { config.ClientCA = "" })
	driver := c.pod("leoflow", "driver", "driver-1")
	driverIdentity := auth.Caller{Namespace: "leoflow", ServiceAccount: "driver", Pod: "driver-1", PodUID: "uid of driver-1", Node: "node-1"}
	podIdentity := auth.Caller{Namespace: "team-a", ServiceAccount: "worker", Pod: "p", PodUID: "uid of p", Node: "node-1"}
	const notAmong = "this caller is not among the service accounts of nodes allowed to watch"
	for name, row := range map[string]struct {
		core         cluster
		token        string
		certificates []tls.Certificate
		code         codes.Code
		record       audit.Record
	}{
		"a node's certificate": {c, "", []tls.Certificate{c.authority.pair("node-1")}, codes.OK,
			audit.Record{Caller: auth.Caller{Certificate: "node-1"}, Decision: audit.Allowed}},
		"another certificate": {c, "", []tls.Certificate{c.authority.pair("pod-1")}, codes.PermissionDenied, audit.Record{
			Caller: auth.Caller{Certificate: "pod-1"}, Decision: audit.Denied,
			Detail: `client certificate of "pod-1" is not among the node names allowed to watch`}},
		"a driver's token": {c, driver, nil, codes.OK, audit.Record{Caller: driverIdentity, Decision: audit.Allowed}},
		"a driver's token, no client CA": {withoutCA, withoutCA.pod("leoflow", "driver", "driver-1"), nil, codes.OK,
			audit.Record{Caller: driverIdentity, Decision: audit.Allowed}},
		"a driver's token, another certificate": {c, driver, []tls.Certificate{c.authority.pair("pod-1")}, codes.OK,
			audit.Record{Caller: driverIdentity, Decision: audit.Allowed}},
		"a node's certificate, any token": {c, "n33dle", []tls.Certificate{c.authority.pair("node-1")}, codes.OK,
			audit.Record{Caller: auth.Caller{Certificate: "node-1"}, Decision: audit.Allowed}},
		"a pod's token": {c, c.pod("team-a", "worker", "p"), nil, codes.PermissionDenied,
			audit.Record{Caller: podIdentity, Decision: audit.Denied, Detail: notAmong}},
		"the account's name in another namespace": {c, c.pod("team-a", "driver", "p"), nil, codes.PermissionDenied, audit.Record{
			Caller:   auth.Caller{Namespace: "team-a", ServiceAccount: "driver", Pod: "p", PodUID: "uid of p", Node: "node-1"},
			Decision: audit.Denied, Detail: notAmong}},
		"a task's token": {c, c.token("audit"), nil, codes.PermissionDenied, audit.Record{
			Caller:   auth.Caller{Subject: "audit/run_1/load/1", Tenant: "acme", DAG: "audit", Run: "run_1", Task: "load", Try: 1},
			Decision: audit.Denied, Detail: notAmong}},
		"a bad token": {c, "n33dle", nil, codes.Unauthenticated,
			audit.Record{Decision: audit.Unauthenticated, Detail: "token refused: it is not a JWT"}},
		"nothing": {c, "", nil, codes.Unauthenticated, audit.Record{
			Decision: audit.Unauthenticated,
			Detail:   "watching takes a client certificate of core's client CA or the token of a node's service account"}},
		"nothing, no client CA": {withoutCA, "", nil, codes.Unauthenticated, audit.Record{
			Decision: audit.Unauthenticated, Detail: "watching takes the token of a node's service account"}},
	} {
		known := len(row.core.records())
		ctx := within(t)
		if row.token != "" {
			ctx = bearing(ctx, row.token)
		}
		err := row.core.watchAs(ctx, row.certificates...)
		assert.Equal(t, row.code, status.Code(err), "%s: %v", name, err)
		if err != nil {
			assert.Equal(t, row.record.Detail, status.Convert(err).Message(), name)
		}
		records := row.core.records()[known:]
		require.Len(t, records, 1, name)
		assert.Equal(t, "/leoflow.secrets.v1.SecretsService/Watch", records[0].Method)
		assert.NotZero(t, records[0].Time)
		assert.NotEmpty(t, records[0].Peer)
		assert.NotEmpty(t, records[0].Request)
		records[0].Time, records[0].Request, records[0].Method, records[0].Peer = time.Time{}, "", "", ""
		assert.Equal(t, row.record, records[0], name)
	}
}

func TestNobodyWatchesUnrecorded(t *testing.T) {
	c := startCluster(t, func(config *coreserver.Config) { config.Audit = brokenWriter{} })
	assert.Equal(t, codes.Unavailable, status.Code(c.watchAs(within(t), c.authority.pair("node-1"))))
}
