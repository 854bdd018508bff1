package core_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// goodResponse answers good for one caller.
func goodResponse() *secretsv1.FetchResponse {
	return &secretsv1.FetchResponse{
		Connections: []*secretsv1.Connection{{Id: "warehouse", Version: "7", ConnType: "postgresql", Login: new(""), Password: new(needle), Port: new(uint32(5432))}},
		Variables:   []*secretsv1.Variable{{Key: "env", Version: "3", Value: needle}},
		Rules:       []string{"everything", "workers"},
		Results: []*secretsv1.CallerResult{{
			Connections: []uint32{0}, Variables: []uint32{0}, ConnectionRules: []uint32{1}, VariableRules: []uint32{0},
			Refusals: []*secretsv1.Refusal{{Kind: secretsv1.Kind_KIND_VARIABLE, Name: "region", Reason: secretsv1.Refusal_REASON_DENIED, Detail: "no rule"}},
		}},
	}
}

var good = providertest.Names([]string{"warehouse"}, []string{"env", "region"})

func fixed(response *secretsv1.FetchResponse) *server {
	return &server{fetch: func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		return proto.CloneOf(response), nil
	}}
}

func TestFetchTakesAGoodResponse(t *testing.T) {
	result, err := newClient(t, fixed(goodResponse()).start(t)).Fetch(t.Context(), pod(), good)
	require.NoError(t, err)
	warehouse := entry.OfConnection(airflow.Connection{ID: "warehouse", Type: "postgres", Login: new(""), Password: new(secret.New(needle)), Port: new(uint16(5432))}, "7")
	env := entry.OfVariable("env", secret.New(needle), "3")
	warehouse.Rule, env.Rule = "workers", "everything"
	assert.Equal(t, []entry.Entry{
		warehouse, env,
		entry.Refused(entry.Name{Kind: entry.Variable, ID: "region"}, entry.Denied, "no rule"),
	}, result)
}

// A core of an older release tells of no rules.
func TestFetchTakesAResponseWithoutRules(t *testing.T) {
	response := goodResponse()
	response.Rules, response.Results[0].ConnectionRules, response.Results[0].VariableRules = nil, nil, nil
	result, err := newClient(t, fixed(response).start(t)).Fetch(t.Context(), pod(), good)
	require.NoError(t, err)
	assert.Empty(t, result[0].Rule)
	assert.Empty(t, result[1].Rule)
}

func TestFetchRefusesAResponseThatMakesNoSense(t *testing.T) {
	own := func(r *secretsv1.FetchResponse) *secretsv1.CallerResult { return r.Results[0] }
	for _, row := range []struct {
		name  string
		spoil func(*secretsv1.FetchResponse)
		says  string
	}{
		{"no result", func(r *secretsv1.FetchResponse) { r.Results = nil }, "0 results for 1 callers"},
		{"a result too many", func(r *secretsv1.FetchResponse) { r.Results = append(r.Results, own(r)) }, "2 results for 1 callers"},
		{"connection beyond the last", func(r *secretsv1.FetchResponse) { own(r).Connections[0] = 1 }, "connection 1 of 1 does not exist"},
		{"variable beyond the last", func(r *secretsv1.FetchResponse) { own(r).Variables[0] = 1<<32 - 1 }, "variable 4294967295 of 1 does not exist"},
		{"rule beyond the last", func(r *secretsv1.FetchResponse) { own(r).VariableRules[0] = 2 }, "rule 2 of 2 does not exist"},
		{"a rule too many", func(r *secretsv1.FetchResponse) { own(r).ConnectionRules = []uint32{0, 1} }, "2 rules for 1 entries"},
		{"one connection twice", func(r *secretsv1.FetchResponse) {
			own(r).Connections, own(r).ConnectionRules = []uint32{0, 0}, []uint32{0, 0}
		}, `connection "warehouse" comes twice`},
		{"two of one id", func(r *secretsv1.FetchResponse) {
			r.Variables = append(r.Variables, r.Variables[0])
			own(r).Variables, own(r).VariableRules = []uint32{0, 1}, []uint32{0, 0}
		}, `variable "env" comes twice`},
		{"given and refused", func(r *secretsv1.FetchResponse) { own(r).Refusals[0].Name = "env" }, `variable "env" comes twice`},
		{"never asked for", func(r *secretsv1.FetchResponse) { r.Connections[0].Id = "other" }, `connection "other" was not asked for`},
		{"refusal never asked for", func(r *secretsv1.FetchResponse) { own(r).Refusals[0].Kind = secretsv1.Kind_KIND_CONNECTION }, `connection "region" was not asked for`},
		{"no id", func(r *secretsv1.FetchResponse) { r.Connections[0].Id = "" }, `connection "" was not asked for`},
		{"no version", func(r *secretsv1.FetchResponse) { r.Variables[0].Version = "" }, `variable "env" has no version`},
		{"silence about one", func(r *secretsv1.FetchResponse) { own(r).Refusals = nil }, `variable "region" is neither given nor refused`},
		{"unknown kind", func(r *secretsv1.FetchResponse) { own(r).Refusals[0].Kind = 9 }, `a refusal of "region" is of kind 9, reason 2`},
		{"unknown reason", func(r *secretsv1.FetchResponse) { own(r).Refusals[0].Reason = 0 }, `a refusal of "region" is of kind 2, reason 0`},
		{"refused and served", func(r *secretsv1.FetchResponse) { own(r).Unauthenticated = "expired" }, "a caller is both refused and served"},
		{"put off and served", func(r *secretsv1.FetchResponse) { own(r).Withheld = "it asks too much" }, "a caller is both put off and served"},
		{"put off and refused", func(r *secretsv1.FetchResponse) {
			r.Results[0] = &secretsv1.CallerResult{Withheld: "it asks too much", Unauthenticated: "expired"}
		}, "a caller is both refused and put off"},
	} {
		t.Run(row.name, func(t *testing.T) {
			response := goodResponse()
			row.spoil(response)
			result, err := newClient(t, fixed(response).start(t)).Fetch(t.Context(), pod(), good)
			require.ErrorIs(t, err, provider.ErrProtocol)
			assert.Contains(t, err.Error(), row.says)
			assert.NotContains(t, err.Error(), needle)
			assert.Empty(t, result)
		})
	}
}

// Core gives nothing to one who has filled his share of its audit log, and says what is refused.
func TestFetchTakesWhatIsWithheldForUnavailable(t *testing.T) {
	response := goodResponse()
	response.Results[0] = &secretsv1.CallerResult{Withheld: "ask again in 9s", Refusals: response.Results[0].Refusals}
	client := newClient(t, fixed(response).start(t))
	result, err := client.Fetch(t.Context(), pod(), good)
	require.NoError(t, err)
	const why = "core gives it nothing now: ask again in 9s"
	assert.Equal(t, []entry.Entry{
		entry.Refused(entry.Name{Kind: entry.Variable, ID: "region"}, entry.Denied, "no rule"),
		entry.Refused(entry.Name{Kind: entry.Connection, ID: "warehouse"}, entry.Unavailable, why),
		entry.Refused(entry.Name{Kind: entry.Variable, ID: "env"}, entry.Unavailable, why),
	}, result)

	response.Results[0].Refusals = nil
	_, err = newClient(t, fixed(response).start(t)).Fetch(t.Context(), pod(), provider.Request{Variables: provider.Selection{All: true}})
	require.ErrorIs(t, err, provider.ErrUnavailable, "which names it would be said of nobody knows")
	assert.True(t, provider.IsOfAccount(err), "and it says nothing of other pods' calls")
	assert.ErrorContains(t, err, "core gives it nothing now: ask again in 9s")
}

// A connection that Airflow could not hold is refused, and its neighbours are served.
func TestFetchRefusesTheOneConnectionThatIsBroken(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(*secretsv1.Connection)
		says  string
	}{
		{"port", func(c *secretsv1.Connection) { c.Port = new(uint32(65536)) }, `core's connection cannot be used: field "port": is above 65535`},
		{"type", func(c *secretsv1.Connection) { c.ConnType = "" }, `core's connection cannot be used: field "conn_type"`},
		{"extra", func(c *secretsv1.Connection) { c.Extra = new("[" + needle) }, `core's connection cannot be used: field "extra"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			response := goodResponse()
			row.spoil(response.Connections[0])
			result, err := newClient(t, fixed(response).start(t)).Fetch(t.Context(), pod(), good)
			require.NoError(t, err)
			require.Len(t, result, 3)
			refused := providertest.Refused(result)
			require.Len(t, refused, 2)
			assert.Equal(t, entry.Name{Kind: entry.Connection, ID: "warehouse"}, refused[0].Name())
			assert.Equal(t, entry.Invalid, refused[0].State)
			assert.Contains(t, refused[0].Reason(), row.says)
			assert.NotContains(t, refused[0].Reason(), needle)
		})
	}
}

// One pod's nonsense is not its neighbour's, nor is one pod's entry.
func TestFetchGroupDecidesForEachPodAlone(t *testing.T) {
	response := goodResponse()
	whole := response.Results[0]
	denied := &secretsv1.CallerResult{}
	for _, name := range []string{"env", "region"} {
		denied.Refusals = append(denied.Refusals, &secretsv1.Refusal{Kind: secretsv1.Kind_KIND_VARIABLE, Name: name, Reason: secretsv1.Refusal_REASON_DENIED})
	}
	denied.Refusals = append(denied.Refusals, &secretsv1.Refusal{Kind: secretsv1.Kind_KIND_CONNECTION, Name: "warehouse", Reason: secretsv1.Refusal_REASON_DENIED})
	response.Results = []*secretsv1.CallerResult{
		whole, {Unauthenticated: "token expired"}, {Connections: []uint32{4}}, denied,
	}
	tokenless := pod()
	tokenless.Token = secret.Text{}
	pods := []provider.Identity{pod(), pod(), tokenless, pod(), pod()}
	for _, i := range []int{0, 1, 3, 4} {
		pods[i].Token = secret.New(fmt.Sprint(needle, i))
	}

	s := fixed(response)
	outcomes := newClient(t, s.start(t)).FetchGroup(t.Context(), pods, good)
	require.Len(t, outcomes, 5)
	require.NoError(t, outcomes[0].Err)
	assert.Equal(t, entry.Name{Kind: entry.Connection, ID: "warehouse"}, outcomes[0].Entries[0].Name())
	assert.Equal(t, entry.Delivered, outcomes[0].Entries[0].State)
	require.ErrorIs(t, outcomes[1].Err, provider.ErrUnauthenticated)
	assert.Contains(t, outcomes[1].Err.Error(), `core refused the token: "token expired"`)
	require.ErrorIs(t, outcomes[2].Err, provider.ErrUnauthenticated)
	require.ErrorIs(t, outcomes[3].Err, provider.ErrProtocol)
	require.NoError(t, outcomes[4].Err)
	assert.Len(t, outcomes[4].Entries, 3)
	assert.Len(t, providertest.Refused(outcomes[4].Entries), 3)
	for _, i := range []int{1, 2, 3} {
		assert.Empty(t, outcomes[i].Entries)
	}
	assert.EqualValues(t, 1, s.fetches.Load())
}

// A group that does not fit one message takes as many as it needs.
func TestFetchGroupSplitsWhatIsTooLarge(t *testing.T) {
	remote := newMemory(providertest.NewWorld())
	remote.speakOurs()
	config := remote.start(t)
	config.MaxRequest = 100
	pods := make([]provider.Identity, 7)
	for i := range pods {
		pods[i] = remote.world.Reader
	}
	pods[3] = remote.world.Stranger
	for i, outcome := range newClient(t, config).FetchGroup(t.Context(), pods, oneVariable) {
		if i == 3 {
			require.ErrorIs(t, outcome.Err, provider.ErrUnauthenticated)
			continue
		}
		require.NoError(t, outcome.Err)
		require.Len(t, outcome.Entries, 1)
		assert.Equal(t, entry.Delivered, outcome.Entries[0].State)
	}
	assert.EqualValues(t, 3, remote.fetches.Load())
}

// kubelet gives the volumes of one pod the same token, which core is shown once. Each reads
// the result for itself.
func TestFetchGroupShowsATokenOnce(t *testing.T) {
	response := goodResponse()
	response.Results = append(response.Results, &secretsv1.CallerResult{Unauthenticated: "expired"})
	var shown []int
	s := &server{fetch: func(_ context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		shown = append(shown, len(request.GetCallers()))
		return proto.CloneOf(response), nil
	}}
	other := pod()
	other.Token = secret.New(needle + "-other")
	outcomes := newClient(t, s.start(t)).FetchGroup(t.Context(), []provider.Identity{pod(), other, pod()}, good)
	require.Equal(t, []int{2}, shown)
	require.ErrorIs(t, outcomes[1].Err, provider.ErrUnauthenticated)
	for _, i := range []int{0, 2} {
		require.NoError(t, outcomes[i].Err)
		assert.Len(t, outcomes[i].Entries, 3)
	}
	assert.NotSame(t, outcomes[0].Entries[0].Connection.Login, outcomes[2].Entries[0].Connection.Login, "pods share no memory")
}

// What core refuses to decide in one call is asked in several.
func TestFetchGroupStaysWithinCoresBounds(t *testing.T) {
	var calls []int
	s := &server{fetch: func(_ context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		calls = append(calls, len(request.GetCallers()))
		assert.LessOrEqual(t, len(request.GetCallers()), secretsv1.MostCallers(request.GetConnections(), request.GetVariables()))
		return nil, status.Error(codes.InvalidArgument, "enough is seen")
	}}
	pods := make([]provider.Identity, 105)
	for i := range pods {
		pods[i] = pod()
		pods[i].Token = secret.New(fmt.Sprint("token-", i))
	}
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("id-", i)
	}
	newClient(t, s.start(t)).FetchGroup(t.Context(), pods, providertest.Names(names, names))
	assert.Equal(t, []int{32, 32, 32, 9}, calls)
}
