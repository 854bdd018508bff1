package deliver

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// unheard does not answer most namespaces, once it is silent.
type unheard struct {
	provider.Provider
	silent atomic.Bool
}

func (u *unheard) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	if u.silent.Load() && strings.HasPrefix(pod.Namespace, "silent-") {
		<-ctx.Done()
		return nil, provider.OfCall(fmt.Errorf("asking: %w: %w", provider.ErrUnavailable, context.Cause(ctx)))
	}
	return u.Provider.Fetch(ctx, pod, request)
}

func (u *unheard) Watch(ctx context.Context, notify func(provider.Change)) error {
	return u.Provider.(provider.Watcher).Watch(ctx, notify)
}

// What was taken away waits for no call of other namespaces, however many are not answered.
func TestAWithdrawalWaitsForNoOtherNamespacesCalls(t *testing.T) {
	source := &unheard{}
	rotated(t, func(r *rig) {
		source.Provider = r.fake
		r.asks.Providers["core"], r.asks.FetchTimeout = source, 10*time.Second
	}, func(t *testing.T, r *rig) {
		for i := range 5 * rotationsAtOnce {
			silent := r.volume(t, fmt.Sprint("a-", i))
			silent.Pod.Namespace = fmt.Sprint("silent-", i)
			require.NoError(t, r.Publish(t.Context(), silent))
		}
		well := r.volume(t, "a-2-well")
		require.NoError(t, r.Publish(t.Context(), well))
		synctest.Wait()

		source.silent.Store(true)
		removed := time.Now()
		r.fake.Remove(entry.Name{Kind: entry.Connection, ID: "warehouse"})
		for time.Since(removed) < 2*time.Minute {
			synctest.Wait()
			if _, err := filepath.EvalSymlinks(filepath.Join(well.TargetPath, "connections/warehouse")); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		assert.LessOrEqual(t, time.Since(removed), time.Second)
	})
}

// slowpoke takes as long as it may over the calls of one namespace, which has many to make.
type slowpoke struct {
	provider.Provider
	asked chan struct{}
}

func (slowpoke) FetchFor() time.Duration { return 100 * time.Second }

func (s slowpoke) Fetch(ctx context.Context, _ provider.Identity, _ provider.Request) ([]entry.Entry, error) {
	s.asked <- struct{}{}
	<-ctx.Done()
	return nil, provider.OfCall(fmt.Errorf("asking: %w: %w", provider.ErrUnavailable, context.Cause(ctx)))
}

// One namespace's large and slow deliveries follow one another without end, and each has all the
// memory there is. A large volume of another is next in turn, and does not give up before.
func TestALargeRotationHasItsTurnBesideSlowOnes(t *testing.T) {
	poke := slowpoke{asked: make(chan struct{}, 1000)}
	rotated(t, func(r *rig) {
		r.Budget = budget.New(small, nil)
		r.caller.sizes = newSizes(r.Budget.LargestAnswer())
		r.asks.Providers["poke"], r.asks.FetchTimeout = poke, 10*time.Second
	}, func(t *testing.T, r *rig) {
		notes := &notebook{}
		r.Observer = notes
		large := r.largeVolume(t, "large")
		require.NoError(t, r.Publish(t.Context(), large))
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait() // with the notes unlocked
		defer stop()
		for i := range 4 {
			slow := r.withNamespace(r.volume(t, fmt.Sprint("slow-", i)), "evil")
			slow.Provider = "poke"
			r.caller.sizes.known.Put(groupKey(slow), r.Budget.LargestAnswer(), 1, time.Hour)
			go func() {
				for ctx.Err() == nil { // as kubelet does
					_ = r.Publish(ctx, slow)
					pause.Wait(ctx, 500*time.Millisecond)
				}
			}()
		}
		<-poke.asked
		time.Sleep(time.Second)
		changed := time.Now()
		r.fake.SetVariable("large", strings.Repeat("y", 400<<10))
		for !strings.HasPrefix(read(t, large, "variables/large"), "y") && time.Since(changed) < time.Hour {
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, time.Since(changed), poke.FetchFor())
		notes.mu.Lock()
		defer notes.mu.Unlock()
		for _, delivery := range notes.deliveries {
			if delivery.Volume.Namespace != "evil" {
				assert.Nil(t, delivery.Failure)
			}
		}
	})
}
