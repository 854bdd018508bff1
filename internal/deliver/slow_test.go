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
		r.Providers["core"], r.FetchTimeout = source, 10*time.Second
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
