package core_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// existing is a core that knows the existing contract alone.
func existing(uris, variables map[string]string) *server {
	return &server{
		connections: func(context.Context) (map[string]string, error) { return uris, nil },
		variables:   func(context.Context) (map[string]string, error) { return variables, nil },
	}
}

func TestFetchReadsTheOddURIsOfExistingCores(t *testing.T) {
	client := newClient(t, existing(map[string]string{
		"with_slashes":    "google_cloud_platform://?__extra__=%7B%22project%22%3A%22p%22%7D",
		"without_slashes": "google_cloud_platform:?__extra__=%7B%22project%22%3A%22p%22%7D",
		"usual":           "postgres://etl:p%40ss@DB:5432/sales",
		"broken":          "1//" + needle,
		"unasked":         "mysql://h",
	}, nil).start(t))
	result, err := client.Fetch(t.Context(), pod(), providertest.Names(
		[]string{"with_slashes", "without_slashes", "usual", "broken", "absent"}, nil))
	require.NoError(t, err)

	keyless := airflow.Connection{Type: "google_cloud_platform", Host: new(""), Schema: new(""), Extra: new(secret.New(`{"project":"p"}`))}
	for i, id := range []string{"with_slashes", "without_slashes"} {
		keyless.ID = id
		assert.Equal(t, keyless, result[i].Connection)
		assert.NotEmpty(t, result[i].Version)
	}
	assert.NotEqual(t, result[0].Version, result[1].Version)
	assert.Equal(t, "etl", *result[2].Connection.Login)
	require.Len(t, result, 5)

	refused := providertest.Refused(result)
	require.Len(t, refused, 2)
	assert.Equal(t, "broken", refused[0].ID)
	assert.Equal(t, entry.Invalid, refused[0].State)
	assert.Contains(t, refused[0].Reason(), "core's connection cannot be used: ")
	assert.NotContains(t, refused[0].Reason(), needle)
	assert.Equal(t, entry.Refused(entry.Name{Kind: entry.Connection, ID: "absent"}, entry.Missing, ""), refused[1])
}

// Only what is asked for is called for, with the pod's own token.
func TestFetchCallsAnExistingCoreForNoMoreThanIsAsked(t *testing.T) {
	s := existing(nil, nil)
	s.connections = nil
	var sent []string
	s.variables = func(ctx context.Context) (map[string]string, error) {
		sent = metadata.ValueFromIncomingContext(ctx, "authorization")
		return map[string]string{"env": "prod", "other": needle}, nil
	}
	result, err := newClient(t, s.start(t)).Fetch(t.Context(), pod(), oneVariable)
	require.NoError(t, err)
	assert.Equal(t, []string{"Bearer " + token}, sent)
	require.Len(t, result, 1)
	assert.Equal(t, "prod", result[0].Text.Reveal())
	assert.EqualValues(t, 1, s.tenantCalls.Load())
}

// All or nothing: connections without the variables would look complete.
func TestFetchFromAnExistingCoreFailsAsAWhole(t *testing.T) {
	s := existing(map[string]string{"c": "http://h"}, nil)
	s.variables = func(context.Context) (map[string]string, error) {
		return nil, status.Error(codes.Unauthenticated, "token expired "+token)
	}
	result, err := newClient(t, s.start(t)).Fetch(t.Context(), pod(), providertest.Everything())
	require.ErrorIs(t, err, provider.ErrUnauthenticated)
	assert.Contains(t, err.Error(), `core refused the token: "token expired [redacted]"`)
	assert.Empty(t, result)
}

func TestClientRemembersTheContractForAWhile(t *testing.T) {
	s := existing(nil, map[string]string{"env": "prod"})
	config := s.start(t)
	client := newClient(t, config)
	for range 3 {
		requireFetch(t, client)
	}
	assert.EqualValues(t, 1, s.fetches.Load(), "an old core is asked once, not each time")
	assert.EqualValues(t, 3, s.tenantCalls.Load())

	config.ReprobeAfter = time.Nanosecond
	client = newClient(t, config)
	requireFetch(t, client)
	s.set(func() { s.fetch = oursHolding("env") })
	requireFetch(t, client)
	requireFetch(t, client)
	assert.EqualValues(t, 1+1+2, s.fetches.Load(), "an upgraded core is found out")
	assert.EqualValues(t, 3+1, s.tenantCalls.Load())

	s.set(func() { s.fetch = nil })
	requireFetch(t, client)
	assert.EqualValues(t, 3+2, s.tenantCalls.Load(), "and one rolled back")
}

func TestClientAsksANewConnectionAnew(t *testing.T) {
	authority := newAuthority(t, "core's authority")
	settings := authority.serverTLS(t, authority.issue(t, "core"), false)
	s := existing(nil, map[string]string{"env": "prod"})
	address, stop := s.serve(t, "127.0.0.1:0", settings)
	client := newClient(t, core.Config{Address: address, CAFile: authority.file})
	requireFetch(t, client)
	stop()
	s.set(func() { s.fetch = oursHolding("env") })
	s.serve(t, address, settings)
	require.Eventually(t, func() bool {
		_, err := client.Fetch(t.Context(), pod(), oneVariable)
		return err == nil && s.fetches.Load() > 1
	}, testwait.Limit, 10*time.Millisecond)
	before := s.tenantCalls.Load()
	requireFetch(t, client)
	assert.Equal(t, before, s.tenantCalls.Load())
}

func requireFetch(t *testing.T, client *core.Client) {
	t.Helper()
	result, err := client.Fetch(t.Context(), pod(), oneVariable)
	require.NoError(t, err)
	require.Len(t, result, 1)
}

// oursHolding answers in our contract with one variable.
func oursHolding(key string) func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
	return func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		return &secretsv1.FetchResponse{
			Variables: []*secretsv1.Variable{{Key: key, Value: "new", Version: "1"}},
			Results:   []*secretsv1.CallerResult{{Variables: []uint32{0}}},
		}, nil
	}
}

// An existing core that answers with nothing where it had something takes nothing from pods that
// run; a pod that starts is told what is missing.
func TestAnExistingCoreThatSuddenlyHasNothing(t *testing.T) {
	uris := map[string]string{"warehouse": "mysql://h"}
	s := existing(uris, nil)
	client := newClient(t, s.start(t))
	asked := providertest.Names([]string{"warehouse"}, nil)
	result, err := client.Fetch(t.Context(), pod(), asked)
	require.NoError(t, err)
	require.Equal(t, entry.Delivered, result[0].State)

	s.set(func() {
		s.connections = func(context.Context) (map[string]string, error) { return map[string]string{}, nil }
	})
	_, err = client.Fetch(t.Context(), pod(), asked)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	assert.ErrorContains(t, err, "core says that there is no connection at all, and had some")
	assert.True(t, provider.IsOfCall(err))
	fresh := pod()
	fresh.PodUID = "2"
	result, err = client.Fetch(t.Context(), fresh, asked)
	require.NoError(t, err)
	assert.Equal(t, entry.Missing, result[0].State)

	s.set(func() {
		s.connections = func(context.Context) (map[string]string, error) { return map[string]string{"other": "mysql://h"}, nil }
	})
	result, err = client.Fetch(t.Context(), pod(), asked)
	require.NoError(t, err)
	assert.Equal(t, entry.Missing, result[0].State, "one that is deleted beside others is withdrawn at once")
}
