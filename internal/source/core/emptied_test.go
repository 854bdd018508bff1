package core

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestNothingIsBelievedAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e emptied
		one, other := provider.Identity{PodUID: "1"}, provider.Identity{PodUID: "2"}
		require.NoError(t, e.doubt(one, entry.Connection, 0), "a pod that never had any")
		require.NoError(t, e.doubt(one, entry.Connection, 3))
		err := e.doubt(one, entry.Connection, 0)
		require.ErrorIs(t, err, provider.ErrUnavailable)
		assert.True(t, provider.IsOfCall(err), "it is no outage of others")
		require.NoError(t, e.doubt(other, entry.Connection, 0))
		require.NoError(t, e.doubt(one, entry.Variable, 0))

		time.Sleep(30 * time.Second)
		require.Error(t, e.doubt(one, entry.Connection, 0))
		require.NoError(t, e.doubt(one, entry.Connection, 1), "it is back")
		time.Sleep(40 * time.Second)
		require.Error(t, e.doubt(one, entry.Connection, 0), "the minute begins anew")
		time.Sleep(time.Minute)
		require.NoError(t, e.doubt(one, entry.Connection, 0))
		require.NoError(t, e.doubt(one, entry.Connection, 0), "and it stays so")
	})
}

func TestAnswersAreRememberedForPodsThatAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e emptied
		for round := range 3 {
			for i := range mostAnswered {
				require.NoError(t, e.doubt(provider.Identity{PodUID: fmt.Sprint(round, "-", i)}, entry.Connection, 1))
			}
			time.Sleep(2 * answeredFor)
		}
		assert.LessOrEqual(t, len(e.pods), mostAnswered+1)
	})
}
