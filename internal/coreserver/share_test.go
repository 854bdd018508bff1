package coreserver_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
)

// manyVariables are so many, besides those that every test begins with.
func manyVariables(count int) (file string, names []string) {
	var text strings.Builder
	text.WriteString(files["variables.yaml"])
	for i := range count {
		name := fmt.Sprintf("variable_%04d", i)
		names = append(names, name)
		fmt.Fprintf(&text, "%s: n33dle-%d\n", name, i)
	}
	return text.String(), names
}

// fill has the bearer of the token asked for everything until core gives him nothing, and returns how
// much of the log that took.
func (c *core) fill(token string) (size int) {
	c.t.Helper()
	client := c.secrets()
	for range 100 {
		response, err := client.Fetch(within(c.t), &secretsv1.FetchRequest{Callers: callers(token), Variables: &secretsv1.Selection{All: true}})
		require.NoError(c.t, err)
		if response.Results[0].Withheld != "" {
			return len(c.audit.String())
		}
	}
	require.Fail(c.t, "core gives without end")
	return 0
}

// One good token made 5.6 MB of records a second.
func TestWhoFillsTheAuditLogIsThrottledAlone(t *testing.T) {
	c := startCore(t, nil)
	file, _ := manyVariables(2000)
	c.write("variables.yaml", file)
	c.server.Reload()
	greedy, modest := c.token("audit"), c.taskToken("audit", "modest")

	size := c.fill(greedy)
	assert.InDelta(t, audit.LongRun*audit.AtOnce.Seconds(), size, 1<<20, "what is reckoned is about what is written")
	before := len(c.records())
	request := &secretsv1.FetchRequest{
		Callers: callers(greedy, modest), Connections: named("warehouse", "absent"), Variables: named("env", "gone"),
	}
	response, err := c.secrets().Fetch(within(t), request)
	require.NoError(t, err)
	put, served := response.Results[0], response.Results[1]
	assert.Regexp(t, `^what it was given fills its share of core's audit log, 9500 bytes a second and those of 15 minutes at once: `+
		`ask again in \d+(m\d+)?s, and for less or less often, or raise core's --caller-audit-rate$`, put.Withheld)
	assert.Empty(t, put.Connections)
	assert.Empty(t, put.Variables)
	assert.Equal(t, []string{"absent: MISSING", "gone: MISSING"}, refusals(put), "what is refused is so at once")
	assert.Empty(t, served.Withheld)
	assert.Len(t, served.Connections, 1)
	assert.Len(t, served.Variables, 1)
	var spelled []string
	for _, record := range c.records()[before:] {
		spelled = append(spelled, strings.Join([]string{record.Task, record.Entry, string(record.Decision)}, " "))
	}
	assert.Equal(t, []string{
		"load  throttled", "load absent missing", "load gone missing",
		"modest warehouse allowed", "modest env allowed", "modest absent missing", "modest gone missing",
	}, spelled, "nothing is recorded as given that is not")

	request.Connections, request.Variables = named("absent"), nil
	response, err = c.secrets().Fetch(within(t), request)
	require.NoError(t, err)
	assert.Empty(t, response.Results[0].Withheld, "there is nothing that it is not given")

	// Without end it is asked again: what the log takes of that is counted like other refusals.
	size = len(c.audit.String())
	request.Connections = named("warehouse")
	request.Callers = callers(greedy)
	client := c.secrets()
	for range 500 {
		response, err = client.Fetch(within(t), request)
		require.NoError(t, err)
		require.NotEmpty(t, response.Results[0].Withheld)
	}
	assert.Less(t, len(c.audit.String())-size, (audit.InFull+1)*1000)
}

func TestTheExistingContractIsThrottledToo(t *testing.T) {
	c := startCore(t, nil)
	file, _ := manyVariables(2000)
	c.write("variables.yaml", file)
	c.server.Reload()
	greedy, modest := c.token("audit"), c.taskToken("audit", "modest")
	client := c.agent()
	var err error
	for range 100 {
		if _, err = client.GetVariables(bearing(within(t), greedy), &agentv1.GetVariablesRequest{}); err != nil {
			break
		}
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(err), "%v", err)
	assert.ErrorContains(t, err, "fills its share of core's audit log")
	require.Len(t, status.Convert(err).Details(), 1)
	retry, is := status.Convert(err).Details()[0].(*errdetails.RetryInfo)
	require.True(t, is)
	assert.Positive(t, retry.RetryDelay.AsDuration())
	records := c.records()
	last := records[len(records)-1]
	assert.Equal(t, audit.Throttled, last.Decision)
	assert.Equal(t, "load", last.Task)
	_, err = client.GetVariables(bearing(within(t), modest), &agentv1.GetVariablesRequest{})
	assert.NoError(t, err)
	_, err = c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(greedy), Variables: named("env")})
	assert.NoError(t, err, "the other contract says it of each caller")
}

// A node of 110 pods that have a thousand entries each, and whose driver is killed again and again.
func TestANodeOfLargePodsMeetsNoBudget(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.Audit = io.Discard })
	file, names := manyVariables(1000)
	c.write("variables.yaml", file)
	c.server.Reload()
	tokens := make([]string, 110)
	for i := range tokens {
		tokens[i] = c.taskToken("audit", fmt.Sprint("pod-", i))
	}
	client := c.secrets()
	for start := range 5 {
		for rest := tokens; len(rest) > 0; {
			part := rest[:min(len(rest), 55)]
			rest = rest[len(part):]
			response, err := client.Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(part...), Variables: named(names...)})
			require.NoError(t, err)
			for _, result := range response.Results {
				require.Empty(t, result.Withheld, "start %d", start)
				require.Len(t, result.Variables, len(names))
			}
		}
	}
}
