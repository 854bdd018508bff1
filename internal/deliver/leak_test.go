package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// trap is an error of a source's that panics once, when it is looked at for the time given.
type trap struct{ at, looks atomic.Int64 }

func (*trap) Error() string { return "too large" }

func (t *trap) Is(target error) bool {
	if t.looks.Add(1) == t.at.Load() {
		panic("about n33dle")
	}
	return target == provider.ErrTooLarge
}

// sprung sets the trap for each time in turn that an answer is looked at, until there are no more.
func sprung(t *testing.T, test func(t *testing.T, sets *trap)) {
	t.Helper()
	for at := int64(1); ; at++ {
		sets := &trap{}
		sets.at.Store(at)
		test(t, sets)
		if sets.looks.Load() < at || t.Failed() {
			assert.Greater(t, at, int64(5), "the trap was looked at")
			return
		}
	}
}

// Wherever on its way a delivery ends in a panic, it leaves no memory taken and no turn, and
// the volume is delivered next time.
func TestAPanicAnywhereLeavesNothingTaken(t *testing.T) {
	isFree := func(t *testing.T, r *rig) {
		t.Helper()
		assert.Zero(t, r.Memory().HeldWork)
		turn, err := r.filling.Take(t.Context(), "all", volumesAtOnce)
		require.NoError(t, err)
		turn()
	}
	t.Run("new", func(t *testing.T) {
		sprung(t, func(t *testing.T, sets *trap) {
			r := newRig(t)
			r.second()
			v := r.ofTwo(t, "a")
			r.fake.Fail(sets)
			require.Error(t, r.Publish(t.Context(), v))
			isFree(t, r)
			r.fake.Fail(nil)
			require.NoError(t, r.Publish(t.Context(), v))
			r.fake.SetConnection(warehouse("second"))
			r.look(t)
			assert.Equal(t, secondURI, read(t, v, "connections/warehouse"), "after look %d", sets.at.Load())
		})
	})
	for name, source := range map[string]func(*rig) provider.Provider{
		"in a group": func(r *rig) provider.Provider { return r.fake },
		"each":       func(r *rig) provider.Provider { return &alone{fake: r.fake} },
	} {
		t.Run(name, func(t *testing.T) {
			sprung(t, func(t *testing.T, sets *trap) {
				r := newRig(t)
				r.asks.Providers["core"] = source(r)
				volumes := []Volume{r.volume(t, "a"), r.volume(t, "b")}
				for _, v := range volumes {
					require.NoError(t, r.Publish(t.Context(), v))
				}
				r.fake.SetConnection(warehouse("second"))
				r.fake.Fail(sets)
				r.look(t)
				isFree(t, r)
				r.fake.Fail(nil)
				r.look(t)
				for _, v := range volumes {
					assert.Equal(t, secondURI, read(t, v, "connections/warehouse"), "after look %d", sets.at.Load())
				}
			})
		})
	}
}

// A panic between taking memory for a volume and having written it leaves nothing taken either.
func TestAPanicWhileAVolumeIsWrittenLeavesNothingTaken(t *testing.T) {
	r := newRig(t)
	var armed atomic.Bool
	r.Budget = budget.New(16*small, func(int64) {
		if armed.CompareAndSwap(true, false) {
			panic("about n33dle")
		}
	})
	r.VolumeSize = 16 * megabyte
	r.caller.sizes = newSizes(r.Budget.LargestAnswer())
	r.fake.SetVariable("large", strings.Repeat("x", 3*megabyte))
	v := r.volume(t, "a")
	v.Connections, v.Variables = Wanted{}, named("large")
	armed.Store(true)
	require.Error(t, r.Publish(t.Context(), v))
	require.False(t, armed.Load())
	assert.Zero(t, r.Memory().HeldVolumes)
	assert.Zero(t, r.Memory().HeldWork)
	require.NoError(t, r.Publish(t.Context(), v))
	usage, err := mount.Stats(v.TargetPath)
	require.NoError(t, err)
	assert.Equal(t, usage.Memory(), r.Memory().HeldVolumes)
}

// Whoever gives up while it waits for memory is told so, and not that there is none.
func TestWhoGivesUpWaitingForMemoryIsToldSo(t *testing.T) {
	for name, row := range map[string]struct {
		give    func(context.Context) (context.Context, context.CancelFunc)
		outcome string
		why     error
	}{
		"cancelled": {context.WithCancel, "cancelled", context.Canceled},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 1)
		}, "deadline", context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			r, notes := newRigWithin(t, small), &notebook{}
			r.Observer = notes
			r.memory(t)
			ctx, cancel := row.give(t.Context())
			defer cancel()
			if name == "cancelled" {
				cancel()
			}
			err := r.Publish(ctx, r.largeVolume(t, "a"))
			require.EqualError(t, err, fmt.Sprintf("given up (%s): waiting for memory: %v", row.outcome, row.why))
			assert.Equal(t, row.outcome, notes.deliveries[0].Outcome())
			assert.NotContains(t, r.log.String(), "no memory for a volume")
			assert.Empty(t, r.Unreachable())
		})
	}
}

// memory has another namespace's delivery hold all there is for deliveries, until the test ends.
func (r *rig) memory(t *testing.T) {
	t.Helper()
	taken, err := r.Budget.Enter(t.Context(), 1, "evil", budget.Weight(r.Budget.LargestAnswer()))
	require.NoError(t, err)
	t.Cleanup(taken.Leave)
}
