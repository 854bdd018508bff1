package coreserver_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func named(names ...string) *secretsv1.Selection { return &secretsv1.Selection{Names: names} }

func callers(tokens ...string) []*secretsv1.Caller {
	var all []*secretsv1.Caller
	for _, token := range tokens {
		all = append(all, &secretsv1.Caller{Token: token})
	}
	return all
}

// refusals spells a result's refusals as "name: REASON".
func refusals(result *secretsv1.CallerResult) []string {
	var spelled []string
	for _, refusal := range result.Refusals {
		spelled = append(spelled, refusal.Name+": "+strings.TrimPrefix(refusal.Reason.String(), "REASON_"))
	}
	return spelled
}

func TestFetchGivesTypedFields(t *testing.T) {
	c := startCore(t, nil)
	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers: callers(c.token("billing_daily")), Connections: named("warehouse", "gcp_default"), Variables: named("env"),
	})
	require.NoError(t, err)
	require.Len(t, response.Results, 1)
	assert.Equal(t, []uint32{0, 1}, response.Results[0].Connections)
	assert.Equal(t, []uint32{0}, response.Results[0].Variables)
	assert.Empty(t, response.Results[0].Refusals)
	assert.Equal(t, []string{"rules.yaml"}, response.Rules, "a rule without a name is called by its file")
	assert.Equal(t, []uint32{0, 0}, response.Results[0].ConnectionRules)
	assert.Equal(t, []uint32{0}, response.Results[0].VariableRules)

	warehouse, gcp := response.Connections[0], response.Connections[1]
	assert.Equal(t, "warehouse", warehouse.Id)
	assert.Equal(t, "postgres", warehouse.ConnType)
	assert.Equal(t, "n33dle", warehouse.GetPassword())
	assert.Equal(t, uint32(5432), warehouse.GetPort())
	assert.Equal(t, "google_cloud_platform", gcp.ConnType)
	assert.Equal(t, `{"project": "p"}`, strings.ReplaceAll(gcp.GetExtra(), `":"`, `": "`))
	assert.Nil(t, gcp.Password, "absent is not empty")
	assert.Equal(t, "n33dle-env", response.Variables[0].Value)
	assert.NotEmpty(t, warehouse.Version)
	assert.NotEqual(t, warehouse.Version, gcp.Version)
}

func TestFetchDecidesForEachCallerOnItsOwn(t *testing.T) {
	c := startCore(t, nil)
	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers:     callers(c.token("billing_daily"), "n33dle.n33dle.n33dle", c.token("audit"), c.token("stranger")),
		Connections: named("warehouse", "secret", "absent", "unheard-of", "broken"),
	})
	require.NoError(t, err)
	require.Len(t, response.Results, 4)
	billing, refused, auditor, stranger := response.Results[0], response.Results[1], response.Results[2], response.Results[3]

	assert.Equal(t, []uint32{0}, billing.Connections)
	assert.Equal(t, []string{"secret: DENIED", "absent: MISSING", "unheard-of: DENIED", "broken: INVALID"}, refusals(billing))
	assert.Equal(t, "token refused: it is not a JWT signed by HS256", refused.Unauthenticated)
	assert.Empty(t, refused.Connections)
	assert.Empty(t, refused.Refusals)
	assert.Equal(t, []uint32{0, 1}, auditor.Connections, "the union holds an entry once")
	assert.Equal(t, []string{"absent: MISSING", "unheard-of: MISSING", "broken: INVALID"}, refusals(auditor))
	assert.Empty(t, stranger.Connections)
	assert.Len(t, stranger.Refusals, 5)
	assert.Len(t, response.Connections, 2)

	var existing, absent *secretsv1.Refusal
	for _, refusal := range stranger.Refusals {
		switch refusal.Name {
		case "secret":
			existing = refusal
		case "unheard-of":
			absent = refusal
		}
	}
	existing.Name, absent.Name = "", ""
	assert.Equal(t, existing.String(), absent.String(), "a denial tells nothing of existence")
}

func TestFetchAllGivesWhatEachMayRead(t *testing.T) {
	c := startCore(t, nil)
	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers: callers(c.token("billing_daily"), c.token("stranger")), Variables: &secretsv1.Selection{All: true},
		Connections: &secretsv1.Selection{All: true},
	})
	require.NoError(t, err)
	assert.Len(t, response.Connections, 2)
	assert.Len(t, response.Variables, 1)
	assert.Equal(t, []string{"broken: INVALID"}, refusals(response.Results[0]))
	assert.Empty(t, response.Results[1].Connections)
	assert.Empty(t, response.Results[1].Refusals)
}

func TestFetchIsAudited(t *testing.T) {
	c := startCore(t, nil)
	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers: callers(c.token("billing_daily"), "n33dle", c.token("stranger")), Connections: named("warehouse", "absent"),
	})
	require.NoError(t, err)
	var spelled []string
	for _, record := range c.records() {
		spelled = append(spelled, strings.Join([]string{record.DAG, string(record.Kind), record.Entry, string(record.Decision)}, " "))
		assert.Equal(t, "/leoflow.secrets.v1.SecretsService/Fetch", record.Method)
		assert.False(t, record.Time.IsZero())
		assert.True(t, strings.HasPrefix(record.Peer, "127.0.0.1:"))
	}
	assert.Equal(t, []string{
		"billing_daily connection warehouse allowed",
		"billing_daily connection absent missing",
		"   unauthenticated",
		"stranger connection warehouse denied",
		"stranger connection absent denied",
	}, spelled)
	records := c.records()
	assert.Equal(t, response.Connections[0].Version, records[0].Version)
	assert.Empty(t, records[3].Version, "a denial was decided without looking")
}

func TestFetchRefusesBadRequests(t *testing.T) {
	c := startCore(t, nil)
	for message, change := range map[string]func(*secretsv1.FetchRequest){
		"callers: empty; want one for each pod":              func(r *secretsv1.FetchRequest) { r.Callers = nil },
		"callers: 1025 of them; at most 1024":                func(r *secretsv1.FetchRequest) { r.Callers = make([]*secretsv1.Caller, 1025) },
		"connections, variables: nothing is asked for":       func(r *secretsv1.FetchRequest) { r.Connections = nil },
		"connections: names along with all; want one or the": func(r *secretsv1.FetchRequest) { r.Connections.All = true },
		`connections.names: "warehouse" twice`:               func(r *secretsv1.FetchRequest) { r.Connections = named("warehouse", "a", "warehouse") },
		"connections.names: an empty name":                   func(r *secretsv1.FetchRequest) { r.Connections = named("") },
		"variables.names: an empty name":                     func(r *secretsv1.FetchRequest) { r.Variables = named("") },
		"connections.names: 4097 of them; at most 4096":      func(r *secretsv1.FetchRequest) { r.Connections = named(make([]string, 4097)...) },
		"callers: the token of number 1 comes twice":         func(r *secretsv1.FetchRequest) { r.Callers = callers("n33dle", "n33dle") },
		"callers: 66 of them; at most 65 for this many names: ask in several calls": func(r *secretsv1.FetchRequest) {
			r.Callers, r.Connections = distinct(66), named(many(1000)...)
		},
		"callers: 65 of them; at most 64 for this many names: ask in several calls": func(r *secretsv1.FetchRequest) {
			r.Callers, r.Connections = distinct(65), &secretsv1.Selection{All: true}
		},
	} {
		request := &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Connections: named("warehouse")}
		change(request)
		for i := range request.Callers {
			if request.Callers[i] == nil {
				request.Callers[i] = &secretsv1.Caller{}
			}
		}
		_, err := c.secrets().Fetch(within(t), request)
		assert.Equal(t, codes.InvalidArgument, status.Code(err), message)
		assert.ErrorContains(t, err, message)
	}
	assert.Empty(t, c.audit.String())
}

// distinct are callers of different tokens, none of them good.
func distinct(count int) []*secretsv1.Caller { return callers(many(count)...) }

// many are different texts.
func many(count int) []string {
	texts := make([]string, count)
	for i := range texts {
		texts[i] = fmt.Sprint("n33dle-", i)
	}
	return texts
}

// The most that may be asked of core in one call, by one who has no right at all.
func TestTheLargestFetchCostsLittle(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.Memory = 128 << 20 })
	request := &secretsv1.FetchRequest{Connections: named(many(512)...), Variables: named(many(512)...)}
	for i := range 64 {
		request.Callers = append(request.Callers, callers(c.token(fmt.Sprint("stranger-", i)))...)
	}
	client := c.secrets()
	response, err := client.Fetch(within(t), request)
	require.NoError(t, err)
	for _, result := range response.Results {
		assert.Len(t, result.Refusals, 1024)
	}
	const fetches = 5
	for range fetches - 1 {
		_, err := client.Fetch(within(t), request)
		require.NoError(t, err)
	}
	require.NoError(t, c.stop())
	counted, records := 0, c.records()
	for _, record := range records {
		counted += max(record.Count, 1)
	}
	assert.Equal(t, fetches*64*1024, counted, "every refusal is in the log, by itself or counted")
	assert.Less(t, len(records), counted/100, "most are counted")
}

// What is not handed out for its size is not said to be.
func TestAnAnswerThatIsTooLargeIsNotRecordedAsGiven(t *testing.T) {
	c := startCore(t, nil)
	var variables strings.Builder
	for i := range 9 {
		fmt.Fprintf(&variables, "big%d: %s\n", i, strings.Repeat("x", 1<<20))
	}
	c.write("variables.yaml", variables.String())
	c.server.Reload()
	_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: &secretsv1.Selection{All: true}})
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.ErrorContains(t, err, "larger than max")
	assert.Empty(t, c.records())
}

// A call's records carry one request; the last of them tells how it ended.
func TestAnAllowedCallHasAnOutcome(t *testing.T) {
	c := startCore(t, nil)
	client := c.secrets()
	for _, dag := range []string{"audit", "stranger", "audit"} {
		_, err := client.Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token(dag)), Connections: named("warehouse", "secret")})
		require.NoError(t, err)
	}
	require.NoError(t, c.stop())
	calls := map[string]string{} // by request: an outcome may be written after the next call's records
	for _, record := range c.allRecords() {
		calls[record.Request] += " " + string(record.Decision) + string(record.Outcome)
	}
	assert.ElementsMatch(t, []string{" allowed allowed sent", " denied denied", " allowed allowed sent"}, slices.Collect(maps.Values(calls)))
	assert.Contains(t, c.log.String(), `"request":"`+c.records()[0].Request+`"`)
}

func TestFetchRefusesOversizedRequests(t *testing.T) {
	c := startCore(t, nil)
	_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers: callers(strings.Repeat("x", coreserver.MaxRequest)), Connections: named("warehouse"),
	})
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
}

func TestFetchHandsOutNothingThatTheNodeHasNoMemoryFor(t *testing.T) {
	c := startCore(t, nil)
	request := &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Connections: named("warehouse"), MaxBytes: 16}
	_, err := c.secrets().Fetch(within(t), request)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.ErrorContains(t, err, "larger than max (")
	assert.Empty(t, c.audit.String())

	request.MaxBytes = 1 << 10
	response, err := c.secrets().Fetch(within(t), request)
	require.NoError(t, err)
	assert.Len(t, response.Connections, 1)
}

func TestFetchOpensSealedValues(t *testing.T) {
	key, err := seal.ParseKey(secret.New("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	require.NoError(t, err)
	c := startCore(t, func(config *coreserver.Config) { config.SealKey = key })
	place := seal.Place{Field: seal.Whole}
	place.Name.Kind, place.Name.ID = "variable", "env"
	sealed := key.Seal(place, secret.New("n33dle-opened"))
	c.write("variables.yaml", fmt.Sprintf("env: %q\nregion: %q\n", sealed, sealed))
	c.server.Reload()

	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{
		Callers: callers(c.token("audit")), Variables: named("env", "region"),
	})
	require.NoError(t, err)
	require.Len(t, response.Variables, 1)
	assert.Equal(t, "n33dle-opened", response.Variables[0].Value)
	require.Equal(t, []string{"region: INVALID"}, refusals(response.Results[0]))
	assert.Equal(t, seal.ErrUnopened.Error(), response.Results[0].Refusals[0].Detail)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestNothingIsHandedOutUnrecorded(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.Audit = brokenWriter{} })
	_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Connections: named("warehouse")})
	assert.Equal(t, codes.Unavailable, status.Code(err))
	assert.Contains(t, c.log.String(), "disk full")
}
