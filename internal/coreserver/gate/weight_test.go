package gate

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func acquire(t *testing.T, w *Weight, peer string, bytes int64) func() {
	t.Helper()
	release, err := w.Acquire(t.Context(), peer, bytes)
	require.NoError(t, err)
	return release
}

func TestAPeerTakesHalfOfTheWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWeight(128 << 20)
		assert.EqualValues(t, 32<<20, w.size)
		first := acquire(t, w, "a", 10<<20)
		began := time.Now()
		_, err := w.Acquire(t.Context(), "a", 10<<20)
		require.ErrorIs(t, err, ErrBusy)
		assert.Equal(t, patience, time.Since(began))
		second := acquire(t, w, "b", 1<<40)
		_, err = w.Acquire(t.Context(), "c", 10<<20)
		require.ErrorIs(t, err, ErrBusy, "what all take together is bounded too")

		got := make(chan func())
		go func() { got <- acquire(t, w, "a", 10<<20) }()
		synctest.Wait()
		first()
		first()
		third := <-got
		second()
		third()
		assert.Empty(t, w.peers, "peers are forgotten")
		acquire(t, w, "a", w.size/2)()
	})
}

func TestWhoLeavesTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewWeight(0)
		assert.EqualValues(t, withoutLimit, w.size)
		all := acquire(t, w, "a", w.size)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		_, err := w.Acquire(ctx, "a", 1)
		require.ErrorIs(t, err, context.Canceled)
		all()
		assert.Empty(t, w.peers)
	})
}
