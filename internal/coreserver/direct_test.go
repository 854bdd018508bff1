package coreserver_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
)

// direct are the rules by which the pods of worker may ask without a driver.
const direct = `rules:
- {namespaces: [team-*], serviceAccounts: [worker], variables: [env], direct: true}
- {namespaces: [team-*], serviceAccounts: [worker], variables: [region]}
- {tenants: [acme], dags: ['billing_*'], variables: [env], direct: true}
deny:
- {namespaces: [team-b], serviceAccounts: ['*'], variables: [env]}
`

func startDirect(t *testing.T, change func(*coreserver.Config)) cluster {
	c := startCluster(t, change)
	c.write("rules.yaml", direct)
	c.server.Reload()
	return c
}

// ask is what a pod asks that shows one token for itself and one as its own identity.
func (c cluster) ask(own, shown string) (*secretsv1.FetchResponse, error) {
	return c.core.secrets().Fetch(bearing(within(c.t), shown), &secretsv1.FetchRequest{Callers: callers(own), Variables: named("env", "region", "locked")})
}

func TestAPodIsServedWithoutADriverWhereARuleSaysSo(t *testing.T) {
	for _, binding := range []coreserver.Binding{coreserver.BindingAuto, coreserver.BindingRequired, coreserver.BindingOff} {
		c := startDirect(t, func(config *coreserver.Config) { config.NodeBinding = binding })
		pod := c.bound("team-a", "worker", "p", "node-1")
		known := len(c.records())
		response, err := c.ask(pod, pod)
		require.NoError(t, err)
		require.Empty(t, response.Results[0].Unauthenticated)
		require.Len(t, response.Variables, 1)
		assert.Equal(t, "env", response.Variables[0].Key)
		require.Len(t, response.Results[0].Refusals, 2)
		assert.Equal(t, "no rule lets this caller read it without a driver between; one that may has direct: true", response.Results[0].Refusals[0].Detail)
		assert.Equal(t, "no rule lets this caller read it", response.Results[0].Refusals[1].Detail, "with a driver neither")
		for _, record := range c.records()[known:] {
			assert.True(t, record.Direct, record)
			assert.Equal(t, "uid of p", record.PodUID)
		}
		// The same pod's driver is given both.
		response, err = c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(pod), Variables: named("env", "region")})
		require.NoError(t, err)
		assert.Len(t, response.Variables, 2)
	}
}

// kubelet renews a token while a fetcher still shows the one before.
func TestTwoTokensOfOnePodAreOnePod(t *testing.T) {
	c := startDirect(t, nil)
	before := c.bound("team-a", "worker", "p", "node-1")
	response, err := c.ask(c.bound("team-a", "worker", "p", "node-1"), before)
	require.NoError(t, err)
	assert.Len(t, response.Variables, 1)
}

func TestATaskIsServedWithoutADriverWhereARuleSaysSo(t *testing.T) {
	c := startDirect(t, nil)
	task := c.token("billing_1")
	response, err := c.ask(task, task)
	require.NoError(t, err)
	assert.Len(t, response.Variables, 1)
}

func TestWhoIsNotServedWithoutADriver(t *testing.T) {
	c := startDirect(t, nil)
	pod := c.bound("team-a", "worker", "p", "node-1")
	for name, row := range map[string]struct{ own, shown, says string }{
		"another pod's token":                  {c.bound("team-a", "worker", "q", "node-1"), pod, "token refused: the call shows another identity, which is no node's driver; a pod without a driver asks for itself alone"},
		"a token of no pod":                    {c.bound("team-a", "worker", "", ""), c.bound("team-a", "worker", "", ""), "token refused: it is bound to no pod; who asks without a driver shows the token that kubelet projected for its pod"},
		"who has no rule, and another's token": {pod, c.bound("team-a", "other", "p", "node-1"), "and no rule has direct: true for this one"},
		"a task that has none, and another's":  {pod, c.token("audit"), "and no rule has direct: true for this one"},
		"no identity":                          {pod, "", "a fetch takes the driver's own identity, too"},
	} {
		response, err := c.ask(row.own, row.shown)
		said := status.Convert(err).Message()
		if err == nil {
			require.Empty(t, response.Variables, name)
			said = response.Results[0].Unauthenticated
		}
		assert.Contains(t, said, row.says, name)
	}
	denied := c.bound("team-b", "worker", "p", "node-1")
	response, err := c.ask(denied, denied)
	require.NoError(t, err)
	assert.Empty(t, response.Variables, "what is denied is denied to every way of asking")
}

// A pod that lost its rule is told so of each entry, for a fetcher keeps the files of a pod whose token alone is refused.
func TestAPodThatNoRuleServesAnyMoreIsDeniedEachEntry(t *testing.T) {
	for name, change := range map[string]func(*coreserver.Config){
		"by tokens": func(*coreserver.Config) {},
		"by certificates": func(config *coreserver.Config) {
			config.NodeServiceAccounts, config.NodeBinding = nil, coreserver.BindingRequired
		},
	} {
		for _, rules := range []string{
			"rules: []\n", "rules: [{namespaces: ['*'], serviceAccounts: ['*'], variables: ['*']}, {tenants: ['*'], dags: ['*'], variables: ['*']}]\n",
			"rules: [{namespaces: [team-b], serviceAccounts: ['*'], variables: ['*'], direct: true}]\n",
		} {
			c := startDirect(t, change)
			for _, token := range []string{c.bound("team-a", "worker", "p", "node-1"), c.token("billing_1")} {
				c.write("rules.yaml", direct)
				c.server.Reload()
				response, err := c.ask(token, token)
				require.NoError(t, err, name)
				require.Len(t, response.Variables, 1, name)
				c.write("rules.yaml", rules)
				c.server.Reload()
				response, err = c.ask(token, token)
				require.NoError(t, err, name)
				require.Empty(t, response.Results[0].Unauthenticated, name)
				assert.Empty(t, response.Variables, name)
				require.Len(t, response.Results[0].Refusals, 3, name)
				for _, refusal := range response.Results[0].Refusals {
					assert.Equal(t, secretsv1.Refusal_REASON_DENIED, refusal.Reason, name)
				}
				assert.True(t, c.records()[len(c.records())-1].Direct, name)
			}
		}
	}
}

// A driver's own service account is no pod's, whatever the rules say.
func TestADriverReadsNothingForItself(t *testing.T) {
	c := startDirect(t, nil)
	c.write("rules.yaml", "rules: [{namespaces: ['*'], serviceAccounts: ['*'], variables: ['*'], direct: true}]\n")
	c.server.Reload()
	driver := c.bound("leoflow", "driver", "driver-1", "node-1")
	response, err := c.ask(driver, driver)
	require.NoError(t, err)
	assert.Empty(t, response.Variables)
	assert.Equal(t, "a node may watch, and reads nothing by itself", response.Results[0].Refusals[0].Detail)
}

func (c cluster) watchBearing(token string, request *secretsv1.WatchRequest) watching {
	request.Scoped = true
	stream, err := c.core.secrets().Watch(bearing(within(c.t), token), request)
	require.NoError(c.t, err)
	return watching{c.t, stream}
}

// It is told of what it may read without a driver, and by its own tickets alone.
func TestAPodWatchesForItself(t *testing.T) {
	c := startDirect(t, nil)
	pod, other := c.bound("team-a", "worker", "p", "node-1"), c.bound("team-a", "worker", "q", "node-1")
	fetched, err := c.ask(pod, pod)
	require.NoError(t, err)
	require.Len(t, fetched.Tickets, 1)
	watch := c.watchBearing(pod, &secretsv1.WatchRequest{Tickets: fetched.Tickets})
	assert.Equal(t, []string{"env"}, names(watch.next()))
	assert.Empty(t, names(c.watchBearing(other, &secretsv1.WatchRequest{Tickets: fetched.Tickets}).next()), "a ticket is its pod's")
	c.write("variables.yaml", "env: changed\nregion: changed\n")
	c.server.Reload()
	assert.Equal(t, []string{"env"}, names(watch.next()))
	isDirect := false
	for _, record := range c.records() {
		isDirect = isDirect || record.Direct && strings.HasSuffix(record.Method, "/Watch") && record.Decision == audit.Allowed
	}
	assert.True(t, isDirect)

	stream, err := c.core.secrets().Watch(bearing(within(t), pod), &secretsv1.WatchRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.PermissionDenied, status.Code(err), "all names are for nodes")
	stranger := c.bound("team-a", "other", "p", "node-1")
	stream, err = c.core.secrets().Watch(bearing(within(t), stranger), &secretsv1.WatchRequest{Scoped: true})
	require.NoError(t, err)
	_, err = stream.Recv()
	assert.Equal(t, codes.PermissionDenied, status.Code(err))
}

// A core that knows no nodes tells a pod that asks for itself from a stranger.
func TestAPodIsServedByACoreWithoutNodes(t *testing.T) {
	c := startDirect(t, func(config *coreserver.Config) { config.ClientCA, config.NodeServiceAccounts = "", nil })
	pod := c.bound("team-a", "worker", "p", "node-1")
	fetched, err := c.ask(pod, pod)
	require.NoError(t, err)
	assert.Len(t, fetched.Variables, 1, "region is not for who asks without a driver")
	assert.Equal(t, []string{"env"}, names(c.watchBearing(pod, &secretsv1.WatchRequest{Tickets: fetched.Tickets}).next()))
}

// Where nobody may ask without a driver, a core that knows no nodes takes no notice of what a call shows of
// itself: a driver's own token, say, is not held against it.
func TestATokenThatNobodyAskedForIsNotLookedAt(t *testing.T) {
	c := startCluster(t, func(config *coreserver.Config) { config.ClientCA, config.NodeServiceAccounts = "", nil })
	client := c.core.secrets()
	for range 48 { // which is more than a stranger may show, and less than watches that end at once
		stream, err := client.Watch(bearing(within(t), "n33dle"), &secretsv1.WatchRequest{Scoped: true})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.Equal(t, codes.Unimplemented, status.Code(err), "it polls, and is not hung up on: %v", err)
	}
}
