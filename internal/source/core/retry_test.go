package core_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// failingFirst answers the first n calls with code.
func failingFirst(n int64, code codes.Code) *server {
	var calls atomic.Int64
	answer := oursHolding("env")
	return &server{fetch: func(ctx context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		if calls.Add(1) <= n {
			return nil, status.Error(code, "not now")
		}
		return answer(ctx, request)
	}}
}

func TestFetchAsksAgainWhereTimeMayHelp(t *testing.T) {
	s := failingFirst(2, codes.Unavailable)
	requireFetch(t, newClient(t, s.start(t)))
	assert.EqualValues(t, 3, s.fetches.Load())
}

func TestFetchAsksOnceWhereTimeWillNotHelp(t *testing.T) {
	for _, code := range []codes.Code{
		codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument, codes.Internal,
		codes.ResourceExhausted, // core has said that it has too much to do
	} {
		s := failingFirst(1, code)
		_, err := newClient(t, s.start(t)).Fetch(t.Context(), pod(), oneVariable)
		require.Error(t, err)
		assert.EqualValues(t, 1, s.fetches.Load(), code)
	}
}

// However many pods a node has, its retries are few.
func TestRetriesAreBoundedForTheNode(t *testing.T) {
	const pods = 110
	s := failingFirst(1<<40, codes.Unavailable)
	client := newClient(t, s.start(t))
	var calls sync.WaitGroup
	for range pods {
		calls.Go(func() {
			_, err := client.Fetch(t.Context(), pod(), oneVariable)
			assert.ErrorIs(t, err, provider.ErrUnavailable)
		})
	}
	calls.Wait()
	assert.GreaterOrEqual(t, s.fetches.Load(), int64(pods))
	assert.LessOrEqual(t, s.fetches.Load(), int64(pods+5))
}

// A caller's own deadline bounds the retries too.
func TestRetriesEndWithTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &server{fetch: func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		cancel()
		return nil, status.Error(codes.Unavailable, "not now")
	}}
	_, err := newClient(t, s.start(t)).Fetch(ctx, pod(), oneVariable)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "context canceled: core did not answer in time")
	assert.EqualValues(t, 1, s.fetches.Load())
}
