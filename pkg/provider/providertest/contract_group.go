package providertest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func group(t *testing.T, s suite) {
	grouped, ok := s.source.Provider.(provider.GroupFetcher)
	if !ok {
		return
	}
	pods := []provider.Identity{s.world.Reader, s.world.Stranger, s.world.Twin, s.world.Reader}
	for _, request := range []provider.Request{Everything(), Names([]string{"warehouse", "absent"}, []string{s.world.Forbidden, "env"})} {
		known := make([]provider.Identity, len(pods))
		for i, pod := range pods {
			known[i] = s.source.Known(pod)
		}
		together := grouped.FetchGroup(t.Context(), known, request)
		require.Len(t, together, len(pods))
		for i, pod := range pods {
			s.seen.add(together[i].Err)
			alone, err := s.fetch(t.Context(), pod, request)
			assert.Equal(t, sentinelsOf(err), sentinelsOf(together[i].Err))
			assert.Equal(t, outcomes(t, alone), outcomes(t, together[i].Entries))
		}
	}
	assert.Empty(t, grouped.FetchGroup(t.Context(), nil, Everything()))
}

func ownership(t *testing.T, s suite) {
	fetch := func() []provider.Outcome {
		result, err := s.fetch(t.Context(), s.world.Reader, Everything())
		again, errAgain := s.fetch(t.Context(), s.world.Twin, Everything())
		return []provider.Outcome{{Entries: result, Err: err}, {Entries: again, Err: errAgain}}
	}
	pair := fetch()
	require.NoError(t, pair[0].Err)
	require.NoError(t, pair[1].Err)
	want := outcomes(t, pair[1].Entries)
	for i := range pair[0].Entries {
		scribble(&pair[0].Entries[i].Connection)
		clear(pair[0].Entries[i].Notices)
	}
	clear(pair[0].Entries)
	assert.Equal(t, want, outcomes(t, pair[1].Entries))
	assert.Equal(t, want, outcomes(t, fetch()[0].Entries), "the source itself was changed")
}

// scribble writes through every pointer of a connection.
func scribble(connection *airflow.Connection) {
	overwrite(connection.Description)
	overwrite(connection.Host)
	overwrite(connection.Login)
	overwrite(connection.Password)
	overwrite(connection.Schema)
	overwrite(connection.Port)
	overwrite(connection.Extra)
}

func overwrite[T any](field *T) {
	if field != nil {
		var zero T
		*field = zero
	}
}
