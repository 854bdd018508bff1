package secretmanager

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

const patience = 5 * time.Second

// silentPlace answers nobody, and counts who asks.
type silentPlace struct{ asked atomic.Int32 }

func (d *silentPlace) call(ctx context.Context) error {
	d.asked.Add(1)
	<-ctx.Done()
	return Unreachable("waiting")
}

func succeeds(context.Context) error { return nil }

// TestOneCallFindsOutWhetherASilentPlaceIsBack has ten calls begin before anybody knows.
func TestOneCallFindsOutWhetherASilentPlaceIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace, place, began := newPace(4*callsOfOne, patience), &silentPlace{}, time.Now()
		ended := make(chan time.Duration, callsOfOne)
		for range callsOfOne {
			go func() {
				assert.ErrorIs(t, try(t.Context(), pace, scopeOf(1, "a"), place.call), provider.ErrUnavailable)
				ended <- time.Since(began)
			}()
		}
		for range callsOfOne - 1 {
			assert.Less(t, <-ended, patience+time.Second, "one is enough to go on")
		}
		waited := time.Now()
		require.ErrorIs(t, try(t.Context(), pace, scopeOf(1, "a"), place.call), provider.ErrUnavailable)
		assert.Zero(t, time.Since(waited), "who comes later does not wait")
		require.NoError(t, try(t.Context(), pace, scopeOf(1, "b"), succeeds), "elsewhere all is well")
		require.NoError(t, try(t.Context(), pace, scopeOf(2, "a"), succeeds), "another identity is answered")
		assert.Less(t, <-ended, 2*patience+time.Second)
		assert.EqualValues(t, callsOfOne+1, place.asked.Load())

		require.Error(t, try(t.Context(), pace, scopeOf(1, "a"), place.call), "nobody asks for a while")
		assert.EqualValues(t, callsOfOne+1, place.asked.Load())
		time.Sleep(retryAway)
		require.NoError(t, try(t.Context(), pace, scopeOf(1, "a"), func(context.Context) error {
			require.Error(t, try(t.Context(), pace, scopeOf(1, "a"), place.call), "another one finds out")
			return nil
		}))
		require.NoError(t, try(t.Context(), pace, scopeOf(1, "a"), succeeds))
	})
}

// TestAPlaceWithoutAnybodyIsAwayForAll has one identity find nobody there.
func TestAPlaceWithoutAnybodyIsAwayForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace, asked := newPace(4*callsOfOne, patience), 0
		nobody := func(context.Context) error {
			asked++
			return &Failure{Kind: provider.ErrUnavailable, Unreached: true}
		}
		require.Error(t, try(t.Context(), pace, scopeOf(1, "a"), nobody))
		assert.Equal(t, 2, asked)
		require.Error(t, try(t.Context(), pace, scopeOf(2, "a"), succeeds))
		require.NoError(t, try(t.Context(), pace, scopeOf(2, "b"), succeeds))

		time.Sleep(retryAway)
		var once sync.Once
		require.Error(t, try(t.Context(), pace, scopeOf(1, "a"), func(ctx context.Context) error {
			once.Do(func() { require.Error(t, try(ctx, pace, scopeOf(2, "a"), succeeds), "another one finds out") })
			return (&silentPlace{}).call(ctx)
		}))
		require.NoError(t, try(t.Context(), pace, scopeOf(2, "a"), succeeds), "somebody accepted, and was silent to the other")
	})
}

func TestWhatEndsAnOutage(t *testing.T) {
	for _, row := range []struct {
		name string
		then error
		over bool
	}{
		{"success", nil, true},
		{"denied", &Failure{Kind: provider.ErrDenied}, true},
		{"throttled", &Failure{Kind: provider.ErrUnavailable, Throttled: true}, true},
		{"unavailable", &Failure{Kind: provider.ErrUnavailable}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pace := newPace(1, patience)
				require.Error(t, try(t.Context(), pace, scopeOf(1, "a"), (&silentPlace{}).call))
				time.Sleep(retryAway)
				require.Equal(t, row.then, try(t.Context(), pace, scopeOf(1, "a"), func(context.Context) error { return row.then }))
				time.Sleep(time.Second) // a throttled place wants that
				err := try(t.Context(), pace, scopeOf(1, "a"), succeeds)
				assert.Equal(t, row.over, err == nil)
			})
		})
	}
}

// TestAProbeThatIsNotMadeLeavesItToAnother: whoever may look, and then cannot for want
// of a slot, is not waited for.
func TestAProbeThatIsNotMadeLeavesItToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := newPace(1, patience)
		require.Error(t, try(t.Context(), pace, scopeOf(1, "a"), (&silentPlace{}).call))
		time.Sleep(retryAway)
		leave, err := pace.calls.Take(t.Context(), "another", 1)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, try(ctx, pace, scopeOf(1, "a"), succeeds))
		leave()
		require.NoError(t, try(t.Context(), pace, scopeOf(1, "a"), succeeds))
	})
}

func TestAnOutageThatNobodyLooksIntoIsForgotten(t *testing.T) {
	for _, row := range []struct {
		after time.Duration
		asked int32
	}{{retryAway, 1}, {2 * forgetAway, callsOfOne}} {
		synctest.Test(t, func(t *testing.T) {
			pace, place := newPace(4*callsOfOne, time.Millisecond), &silentPlace{}
			require.Error(t, try(t.Context(), pace, scopeOf(1, "a"), place.call))
			time.Sleep(row.after)
			place.asked.Store(0)
			ended := make(chan error)
			for range callsOfOne {
				go func() { ended <- try(t.Context(), pace, scopeOf(1, "a"), place.call) }()
			}
			synctest.Wait()
			assert.Equal(t, row.asked, place.asked.Load(), row.after)
			for range callsOfOne {
				require.Error(t, <-ended)
			}
		})
	}
}
