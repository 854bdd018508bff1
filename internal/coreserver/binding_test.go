package coreserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
)

// bound is the token of a pod, or of a driver, of that node; empty for none.
func (c cluster) bound(namespace, serviceAccount, name, node string) string {
	token := kubetest.Token{
		Namespace: namespace, ServiceAccount: serviceAccount, Pod: name, PodUID: "uid of " + name, Node: node,
		Audiences: []string{auth.PodAudience}, Expires: time.Now().Add(time.Hour),
	}
	if name == "" {
		token.PodUID = ""
	}
	signed, err := c.kubernetes.Sign(token)
	require.NoError(c.t, err)
	return signed.Reveal()
}

// assertTurnedAway takes both what core says and that it hangs up on who is refused too often.
func assertTurnedAway(t *testing.T, err error) {
	t.Helper()
	assert.Contains(t, []codes.Code{codes.Unauthenticated, codes.Unavailable}, status.Code(err), "%v", err)
}

// Ten thousand times somebody has the tokens of node-1's pods, and none of its driver.
func TestAStolenTokenIsWorthNothingElsewhere(t *testing.T) {
	c := startCluster(t, nil)
	stolen := make([]string, 50)
	for i := range stolen {
		stolen[i] = c.bound("team-a", "worker", fmt.Sprint("p", i), "node-1")
	}
	fetch := func(ctx context.Context, certificates ...tls.Certificate) (served int) {
		response, err := c.core.secrets(certificates...).Fetch(ctx, &secretsv1.FetchRequest{Callers: callers(stolen...), Variables: named("env")})
		if err != nil {
			assertTurnedAway(t, err)
			return 0
		}
		served = len(response.Variables)
		for _, result := range response.Results {
			assert.NotEmpty(t, result.Unauthenticated)
			served += len(result.Variables) + len(result.Refusals)
		}
		return served
	}
	thieves := map[string]func() int{
		"another node's driver":      func() int { return fetch(bearing(within(t), c.bound("leoflow", "driver", "driver-2", "node-2"))) },
		"another node's certificate": func() int { return fetch(within(t), c.authority.pair("node-2")) },
		"both": func() int {
			return fetch(bearing(within(t), c.bound("leoflow", "driver", "driver-2", "node-2")), c.authority.pair("node-2"))
		},
		"nobody":                          func() int { return fetch(within(t)) },
		"a pod of the node":               func() int { return fetch(bearing(within(t), stolen[0])) },
		"a driver's namesake":             func() int { return fetch(bearing(within(t), c.bound("team-a", "driver", "p", "node-1"))) },
		"a certificate that is no node's": func() int { return fetch(within(t), c.authority.pair("pod-1")) },
		"the existing contract": func() int {
			served := 0
			agent := agentv1.NewAgentServiceClient(c.dial())
			for _, token := range stolen {
				response, err := agent.GetVariables(bearing(within(t), token), &agentv1.GetVariablesRequest{})
				assertTurnedAway(t, err)
				served += len(response.GetVariables())
			}
			return served
		},
	}
	const rounds = 25 // times 8 thieves times 50 tokens
	served := 0
	for range rounds {
		for _, thief := range thieves {
			served += thief()
		}
	}
	assert.Zero(t, served, "of %d", rounds*len(thieves)*len(stolen))
	require.NoError(t, c.stop())
	for _, record := range c.records() {
		assert.Equal(t, audit.Unauthenticated, record.Decision)
	}
}

func TestTheDriverOfThePodsNodeIsServed(t *testing.T) {
	c := startCluster(t, nil)
	pod := c.bound("team-a", "worker", "p", "node-1")
	driver := bearing(within(t), c.bound("leoflow", "driver", "driver-1", "node-1"))
	for name, row := range map[string]struct {
		ctx          context.Context
		certificates []tls.Certificate
		node         string
	}{
		"by its token":                 {driver, nil, "node-1"},
		"by its node's certificate":    {within(t), []tls.Certificate{c.authority.pair("node-1")}, ""},
		"by its token, with another's": {driver, []tls.Certificate{c.authority.pair("node-2")}, "node-1"},
		"by its token, with no node's": {driver, []tls.Certificate{c.authority.pair("pod-1")}, "node-1"},
	} {
		known := len(c.records())
		response, err := c.core.secrets(row.certificates...).Fetch(row.ctx, &secretsv1.FetchRequest{Callers: callers(pod, c.token("audit")), Variables: named("env")})
		require.NoError(t, err, name)
		assert.Equal(t, []uint32{0}, response.Results[0].Variables, name)
		assert.Equal(t, []uint32{0}, response.Results[1].Variables, "%s: a task instance's token names no node", name)
		for _, record := range c.records()[known:] {
			assert.Equal(t, row.node, record.DriverNode, name)
		}
	}
}

// Each row is a cluster, a driver or a setting by which a token could be bound less.
func TestWhatNamesNoNode(t *testing.T) {
	const notBound = "token refused: it is bound to no pod and no node; core takes those that kubelet got for a pod"
	for name, row := range map[string]struct {
		binding     coreserver.Binding
		driver, pod string // the nodes that tokens name
		refused     string
		warned      bool
	}{
		"as it is":                            {coreserver.BindingAuto, "node-1", "node-1", "", false},
		"a token of no pod":                   {coreserver.BindingAuto, "node-1", "", notBound, false},
		"a cluster that names no node":        {coreserver.BindingAuto, "", "", "", true},
		"a cluster that begins to":            {coreserver.BindingAuto, "", "node-1", "", true},
		"required of a cluster that does not": {coreserver.BindingRequired, "", "", notBound, false},
		"required of the driver too":          {coreserver.BindingRequired, "", "node-1", "token refused: the driver's own token names no node", false},
		"off":                                 {coreserver.BindingOff, "node-2", "node-1", "", false},
	} {
		c := startCluster(t, func(config *coreserver.Config) { config.NodeBinding = row.binding })
		podName, driverName := "p", "driver"
		if row.pod == "" {
			podName = ""
		}
		if row.driver == "" {
			driverName = ""
		}
		for range 2 {
			response, err := c.core.secrets().Fetch(bearing(within(t), c.bound("leoflow", "driver", driverName, row.driver)),
				&secretsv1.FetchRequest{Callers: callers(c.bound("team-a", "worker", podName, row.pod)), Variables: named("env")})
			require.NoError(t, err, name)
			assert.Equal(t, row.refused, response.Results[0].Unauthenticated, name)
			assert.Equal(t, row.refused == "", len(response.Variables) == 1, name)
		}
		assert.Equal(t, row.warned, strings.Count(c.log.String(), "this cluster's tokens do not name their node") == 1, name)
	}
}

// A driver that core cannot know is told how it could.
func TestADriverThatIsNotKnownIsTold(t *testing.T) {
	c := startCluster(t, nil)
	fetch := func(ctx context.Context) string {
		_, err := c.core.secrets().Fetch(ctx, &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")})
		assert.Equal(t, codes.Unauthenticated, status.Code(err))
		return status.Convert(err).Message()
	}
	assert.Equal(t, "a fetch takes the driver's own identity, too: a client certificate of core's client CA or the token of a node's service account; upgrade the driver, or give it --core-token-file", fetch(within(t)))
	assert.Equal(t, "the driver's own token refused: it is not a JWT", fetch(bearing(within(t), "n33dle")))
	assert.Equal(t, "the driver's own token is not of a node's service account; core knows those of --node-service-accounts, and no rule has direct: true for this one", fetch(bearing(within(t), c.pod("team-a", "worker", "p"))))
	for _, record := range c.records() {
		assert.Equal(t, audit.Unauthenticated, record.Decision)
		assert.NotEmpty(t, record.Detail)
	}
	assert.Len(t, c.records(), 3)
}
