package coreserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
)

// A team's 15,000 patterns and one call of its pod's, for 4,096 names with eight tokens, took 68 s of core's
// CPU.
func TestNamesTimesPatternsAreBounded(t *testing.T) {
	c := startCore(t, nil)
	var patterns strings.Builder
	for i := range 1100 {
		fmt.Fprintf(&patterns, `, "*z%d*"`, i)
	}
	c.write("rules.yaml", `rules: [{tenants: [acme], dags: ["billing_*"], connections: [warehouse`+patterns.String()+"]}]")
	c.server.Reload()
	names := make([]string, 4096)
	for i := range names {
		names[i] = fmt.Sprint("absent_", i)
	}
	fetch := func(names []string, tokens ...string) (*secretsv1.FetchResponse, error) {
		return c.secrets(c.authority.pair("node-1")).Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(tokens...), Connections: &secretsv1.Selection{Names: names}})
	}
	_, err := fetch(names, c.token("billing_1"))
	assert.Equal(t, codes.ResourceExhausted, status.Code(err), err)
	assert.ErrorContains(t, err, "too many names with too many patterns")
	_, err = fetch(names[:1000], c.token("billing_1"), c.token("billing_2"), c.token("billing_3"), c.token("billing_4"))
	assert.Equal(t, codes.ResourceExhausted, status.Code(err), err)
	_, err = fetch(names, c.token("audit"))
	require.NoError(t, err, "whom those rules are not about")

	response, err := fetch(append([]string{"warehouse"}, names[:1000]...), c.token("billing_1"), c.token("billing_2"), c.token("billing_3"))
	require.NoError(t, err)
	require.Len(t, response.Results, 3)
	for _, result := range response.Results {
		assert.Len(t, result.Connections, 1)
		assert.Len(t, result.Refusals, 1000)
	}
	_, err = c.agent().GetConnections(bearing(within(t), c.token("billing_1")), &agentv1.GetConnectionsRequest{})
	assert.NoError(t, err)
}
