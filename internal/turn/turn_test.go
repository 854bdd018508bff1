package turn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waiting asks for turns in the order given, "NAME" or "NAME:WEIGHT", and writes down who has had
// one; whoever has keeps it until the test lets it go.
type waiting struct {
	*Queue
	t      *testing.T
	mu     sync.Mutex
	served []string
	leave  map[string][]func()
}

func (w *waiting) ask(names ...string) {
	for _, name := range names {
		of, weight := name, int64(1)
		if at := strings.IndexByte(name, ':'); at >= 0 {
			of = name[:at]
			_, err := fmt.Sscan(name[at+1:], &weight)
			require.NoError(w.t, err)
		}
		go func() {
			leave, err := w.Take(context.Background(), of, weight)
			assert.NoError(w.t, err)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.served = append(w.served, name)
			w.leave[of] = append(w.leave[of], leave)
		}()
		synctest.Wait()
	}
}

// let has the tenant give back the first of its turns.
func (w *waiting) let(of string) {
	require.NotEmpty(w.t, w.leave[of], of)
	leave := w.leave[of][0]
	w.leave[of] = w.leave[of][1:]
	leave()
	synctest.Wait()
}

// end lets all go until nobody waits.
func (w *waiting) end() {
	for left := true; left; {
		left = false
		for of := range w.leave {
			for len(w.leave[of]) > 0 {
				w.let(of)
				left = true
			}
		}
	}
	assert.Empty(w.t, w.tenants, "nothing is kept of who is gone")
	assert.Equal(w.t, w.room, w.free)
}

func queue(t *testing.T, room, share int64, test func(w *waiting)) {
	synctest.Test(t, func(t *testing.T) {
		w := &waiting{Queue: New(room, share), t: t, leave: map[string][]func(){}}
		test(w)
		w.end()
	})
}

func TestTenantsTakeTurns(t *testing.T) {
	queue(t, 1, 0, func(w *waiting) {
		w.ask("evil", "evil", "evil", "evil", "bank", "shop", "bank")
		for _, of := range []string{"evil", "evil", "bank", "shop", "evil", "bank"} {
			w.let(of)
		}
		assert.Equal(t, []string{"evil", "evil", "bank", "shop", "evil", "bank", "evil"}, w.served)
	})
}

func TestWhoHoldsLeastComesFirst(t *testing.T) {
	queue(t, 4, 0, func(w *waiting) {
		w.ask("evil", "evil", "evil", "bank", "evil", "bank")
		w.let("evil")
		assert.Equal(t, []string{"evil", "evil", "evil", "bank", "bank"}, w.served)
	})
}

func TestOneTenantLeavesRoomForTheNext(t *testing.T) {
	for _, row := range []struct {
		room, share int64
		held        []int // by each tenant that wants all there is, one after the other
	}{
		{16, 0, []int{16, 0}},
		{16, 1, []int{8, 4, 2, 1, 1, 0}},
		{50, 4, []int{40, 8, 1, 1, 0}},
		{1, 1, []int{1, 0}},
	} {
		queue(t, row.room, row.share, func(w *waiting) {
			for i, held := range row.held {
				of := fmt.Sprint("tenant-", i)
				for range row.room {
					w.ask(of)
				}
				assert.Len(t, w.leave[of], held, "%s of room %d at share %d", of, row.room, row.share)
			}
		})
	}
}

func TestNewcomersDoNotStarveWhoWaits(t *testing.T) {
	queue(t, 1, 0, func(w *waiting) {
		w.ask("first", "old")
		for i := range 3 {
			w.ask(fmt.Sprint("new-", i))
		}
		w.let("first")
		assert.Equal(t, []string{"first", "old"}, w.served)
	})
}

func TestWhatWeighsMore(t *testing.T) {
	queue(t, 10, 1, func(w *waiting) {
		w.ask("evil:4", "evil:4", "bank:6", "shop:1")
		assert.Equal(t, []string{"evil:4", "bank:6"}, w.served, "evil would hold more than it leaves, and then all is taken")
		w.let("bank")
		assert.Equal(t, []string{"evil:4", "bank:6", "shop:1"}, w.served)
	})
	queue(t, 10, 1, func(w *waiting) {
		w.ask("huge:99", "bank")
		assert.Equal(t, []string{"huge:99"}, w.served, "what is larger than all takes all")
	})
}

func TestWhoGivesUpLeavesNothing(t *testing.T) {
	queue(t, 1, 0, func(w *waiting) {
		w.ask("evil")
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(context.Background())
		ended := make(chan error)
		go func() {
			_, err := w.Take(ctx, "bank", 1)
			ended <- err
		}()
		synctest.Wait()
		cancel(gone)
		require.ErrorIs(t, <-ended, gone)
		w.ask("shop")
		w.let("evil")
		assert.Equal(t, []string{"evil", "shop"}, w.served)
		w.leave["shop"] = append(w.leave["shop"], w.leave["shop"][0]) // which gives back once
	})
}

func TestNoMoreCallsInAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := NewRate(50, time.Second)
		began := time.Now()
		at := map[string][]time.Duration{}
		var total []time.Duration
		done := make(chan string)
		calls := map[string]int{"evil": 400, "bank": 40}
		for of, count := range calls {
			for range count {
				go func() {
					assert.NoError(t, rate.Wait(For(t.Context(), of), of))
					done <- of
				}()
			}
		}
		for range 440 {
			of := <-done
			at[of], total = append(at[of], time.Since(began)), append(total, time.Since(began))
		}
		for i := range total {
			if i >= 50 {
				assert.GreaterOrEqual(t, total[i]-total[i-50], time.Second, "51 calls within a second")
			}
		}
		assert.LessOrEqual(t, at["bank"][39], 2*time.Second, "of a namespace that asks for less")
		assert.Less(t, total[len(total)-1], 11*time.Second, "though one alone may have 40 of 50")
	})
}

func TestACallIsOfWhomItIsFor(t *testing.T) {
	assert.Equal(t, "bank", Of(For(t.Context(), "bank")))
	assert.Empty(t, Of(t.Context()))
}
