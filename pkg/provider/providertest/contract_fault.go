package providertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func unauthenticated(t *testing.T, s suite) {
	tokenless := s.world.Reader
	tokenless.Token = secret.Text{}
	for _, pod := range []provider.Identity{s.world.Stranger, tokenless} {
		result, err := s.fetch(t.Context(), pod, Names(nil, []string{"env"}))
		if !s.harness.Authenticates {
			require.NoError(t, err)
			continue
		}
		requireSentinel(t, err, provider.ErrUnauthenticated)
		assert.Empty(t, outcomes(t, result))
	}
}

func unavailable(t *testing.T, s suite) {
	if s.source.Break == nil {
		return
	}
	s.source.Break()
	result, err := s.fetch(t.Context(), s.world.Reader, Everything())
	requireSentinel(t, err, provider.ErrUnavailable)
	assert.Empty(t, outcomes(t, result))
	namesNobodyToOthers(t, s.world.Reader, err)
}

// namesNobodyToOthers is for errors that every pod of a node may be told.
func namesNobodyToOthers(t *testing.T, pod provider.Identity, err error) {
	t.Helper()
	if provider.IsOfCall(err) {
		return
	}
	for _, name := range []string{pod.Namespace, pod.ServiceAccount, pod.PodName, pod.PodUID} {
		assert.NotContains(t, err.Error(), name, "all pods are told of an outage that is everybody's")
	}
}

func cancelled(t *testing.T, s suite) {
	ctx, cancel := context.WithCancel(t.Context())
	if s.source.Freeze == nil {
		cancel()
	} else {
		s.source.Freeze()
		defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
	}
	result, err := s.fetch(ctx, s.world.Reader, Everything())
	requireSentinel(t, err, provider.ErrUnavailable)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, outcomes(t, result))
	namesNobodyToOthers(t, s.world.Reader, err)
}

func concurrent(t *testing.T, s suite) {
	want, err := s.fetch(t.Context(), s.world.Reader, Everything())
	require.NoError(t, err)
	var calls sync.WaitGroup
	for range 16 {
		calls.Go(func() {
			got, err := s.fetch(t.Context(), s.world.Reader, Everything())
			assert.NoError(t, err)
			assert.Equal(t, outcomes(t, want), outcomes(t, got))
		})
	}
	calls.Wait()
}
