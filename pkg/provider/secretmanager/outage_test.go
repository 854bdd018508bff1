package secretmanager

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

const patience = 5 * time.Second

// deaf is a place that answers nobody, and counts who asks.
type deaf struct{ asked atomic.Int32 }

func (d *deaf) call(ctx context.Context) error {
	d.asked.Add(1)
	<-ctx.Done()
	return Unreachable("waiting")
}

// TestOneCallFindsOutWhetherASilentPlaceIsBack has ten calls begin before anybody knows.
func TestOneCallFindsOutWhetherASilentPlaceIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace, place, began := newPace(16, patience), &deaf{}, time.Now()
		ended := make(chan time.Duration, 10)
		for range 10 {
			go func() {
				assert.ErrorIs(t, pace.try(t.Context(), spot{"n", "a"}, place.call), provider.ErrUnavailable)
				ended <- time.Since(began)
			}()
		}
		for range 9 {
			assert.Equal(t, patience, <-ended, "one is enough to go on")
		}
		err := pace.try(t.Context(), spot{"n", "a"}, place.call)
		require.ErrorIs(t, err, provider.ErrUnavailable)
		assert.Equal(t, patience, time.Since(began), "who comes later does not wait")
		require.NoError(t, pace.try(t.Context(), spot{"n", "b"}, func(context.Context) error { return nil }), "elsewhere all is well")
		assert.Greater(t, <-ended, 3*patience)
		assert.EqualValues(t, 10+attempts-1, place.asked.Load())

		require.Error(t, pace.try(t.Context(), spot{"n", "a"}, place.call), "nobody asks for a while")
		assert.EqualValues(t, 10+attempts-1, place.asked.Load())
		time.Sleep(rest)
		require.NoError(t, pace.try(t.Context(), spot{"n", "a"}, func(context.Context) error {
			require.Error(t, pace.try(t.Context(), spot{"n", "a"}, place.call), "another one finds out")
			return nil
		}))
		require.NoError(t, pace.try(t.Context(), spot{"n", "a"}, func(context.Context) error { return nil }))
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
				require.Error(t, pace.try(t.Context(), spot{"n", "a"}, (&deaf{}).call))
				time.Sleep(rest)
				require.Equal(t, row.then, pace.try(t.Context(), spot{"n", "a"}, func(context.Context) error { return row.then }))
				time.Sleep(time.Second) // a throttled place wants that
				err := pace.try(t.Context(), spot{"n", "a"}, func(context.Context) error { return nil })
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
		require.Error(t, pace.try(t.Context(), spot{"n", "a"}, (&deaf{}).call))
		time.Sleep(rest)
		pace.slots <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Error(t, pace.try(ctx, spot{"n", "a"}, func(context.Context) error { return nil }))
		<-pace.slots
		require.NoError(t, pace.try(t.Context(), spot{"n", "a"}, func(context.Context) error { return nil }))
	})
}

func TestOutagesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := newPace(1, time.Millisecond)
		require.Error(t, pace.try(t.Context(), spot{"n", "a"}, (&deaf{}).call))
		time.Sleep(2 * forgotten)
		require.Error(t, pace.try(t.Context(), spot{"n", "b"}, (&deaf{}).call))
		assert.Len(t, pace.outages.known, 1)
	})
}
