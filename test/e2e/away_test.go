package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// Kubelet tries a pod again half a second after a failure, and waits twice as long each time. Pods
// that came while core was away start as soon as it is back all the same.
func TestPodsStartAsSoonAsCoreIsBack(t *testing.T) {
	const (
		pods  = 110
		aside = 20 * time.Second
		soon  = 2 * time.Second
	)
	s := start(t, stack.Options{Connections: `{"warehouse": "mysql://u:first@h/s"}`, Variables: "{}", Rules: allowAll})
	asks := token(t, s)
	attributes := map[string]string{"connections": "warehouse"}
	require.NoError(t, s.Kubelet.Publish(t.Context(), pod("running", asks, attributes)))
	require.NoError(t, s.Core.Stop())
	starts := make(chan time.Time, pods)
	for i := range pods {
		p := pod(fmt.Sprint("late-", i), asks, attributes)
		p.Namespace = fmt.Sprint("tenant-", i%11)
		go func() {
			wait := time.Second / 2
			for ; s.Kubelet.Publish(t.Context(), p) != nil; wait *= 2 {
				select {
				case <-time.After(wait):
				case <-t.Context().Done():
					return
				}
			}
			starts <- time.Now()
		}()
	}
	<-time.After(aside)
	require.Empty(t, starts)
	require.NoError(t, s.StartCore(context.Background()))
	back := time.Now()
	for range pods {
		select {
		case at := <-starts:
			assert.Less(t, at.Sub(back), soon)
		case <-time.After(time.Minute):
			require.Fail(t, "a pod has not started a minute after core is back")
		}
	}
	t.Logf("all %d pods started %v after core was back", pods, time.Since(back).Round(time.Millisecond))
}
