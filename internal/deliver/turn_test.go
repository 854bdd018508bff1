package deliver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// unhurried takes so long over each pod of the namespace evil.
type unhurried struct {
	provider.Provider
	takes time.Duration
}

func (u *unhurried) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	if pod.Namespace == "evil" {
		time.Sleep(u.takes)
	}
	return u.Provider.Fetch(ctx, pod, request)
}

func TestSlowRotationsOfANamespaceHoldUpNoOther(t *testing.T) {
	slow := &unhurried{}
	rotated(t, func(r *rig) {
		slow.Provider = r.fake
		r.asks.Providers["core"] = slow
	}, func(t *testing.T, r *rig) {
		for i := range 3 * rotationsAtOnce {
			v := r.volume(t, fmt.Sprint("evil-", i))
			v.Pod.Namespace, v.Pod.ServiceAccount, v.Refresh = "evil", fmt.Sprint("account-", i), 5*time.Second
			require.NoError(t, r.Publish(t.Context(), v))
		}
		honest := r.volume(t, "honest")
		honest.Refresh = 5 * time.Second
		require.NoError(t, r.Publish(t.Context(), honest))
		slow.takes = 10 * time.Second
		for range 120 {
			time.Sleep(time.Second)
			synctest.Wait()
			health := must(r.Health(honest.ID))
			require.LessOrEqual(t, time.Since(health.Confirmed), 7*time.Second)
		}
	})
}

// paced says that it takes its time.
type paced struct {
	provider.Provider
	fetchFor time.Duration
}

func (p paced) FetchFor() time.Duration { return p.fetchFor }

func (p paced) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	select {
	case <-time.After(p.fetchFor - time.Second):
		return p.Provider.Fetch(ctx, pod, request)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", provider.ErrUnavailable, context.Cause(ctx))
	}
}

func TestASourceThatMakesManyCallsMayTakeItsTime(t *testing.T) {
	rotated(t, func(r *rig) {
		r.asks.Providers["core"], r.asks.FetchTimeout = paced{r.fake, time.Minute}, 11*time.Second
	}, func(t *testing.T, r *rig) {
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "pod")))
	})
}

func TestOfPodsWithManyIDsFewAreAskedForAtOnce(t *testing.T) {
	for ids, pods := range map[int]int{0: 16, 1: 16, 62: 16, 100: 10, 1000: 1, 2000: 1} {
		assert.Equal(t, pods, podsAtOnceFor(Volume{Variables: Wanted{Names: make([]WantedName, ids)}}), "%d ids", ids)
	}
	assert.Equal(t, 4, podsAtOnceFor(Volume{Connections: Wanted{All: true}}))
}
