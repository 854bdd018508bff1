package core_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// attempts tells when a watch tried to have a stream of a core that is away.
func attempts(t *testing.T, longest, within time.Duration) (at []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		config := core.Config{Address: "127.0.0.1:1", PlaintextLoopback: true, WatchBackoff: longest}
		config.NodeToken = func(ctx context.Context) (secret.Text, error) {
			if ctx.Err() == nil {
				at = append(at, time.Since(began))
			}
			return secret.New("node"), nil
		}
		client, err := core.New(config)
		require.NoError(t, err)
		ctx, stop := context.WithTimeout(t.Context(), within)
		defer stop()
		require.Error(t, client.Watch(ctx, func(provider.Change) {}))
		require.NoError(t, client.Close())
	})
	return at
}

func TestWatchReconnectsEverMoreSlowlyAndNotInStep(t *testing.T) {
	const longest, within = 30 * time.Second, 10 * time.Minute
	one, other := attempts(t, longest, within), attempts(t, longest, within)
	assert.NotEqual(t, one[:5], other[:5], "two nodes that lost core at once drift apart")
	pause := 250 * time.Millisecond
	for i := range one[1:] {
		waited := one[i+1] - one[i]
		assert.GreaterOrEqual(t, waited, pause/2)
		assert.LessOrEqual(t, waited, pause)
		pause = min(2*pause, longest)
	}
	assert.InDelta(t, 33, len(one), 7, "within ten minutes")
}
