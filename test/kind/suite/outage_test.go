package suite

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// withoutCore takes core away until the returned function, or the test's end.
func (s *scenario) withoutCore() (back func()) {
	s.Helper()
	require.NoError(s, s.product.ScaleCore(s.Ctx, 0))
	// A core that is ending goes on answering for a moment.
	require.NoError(s, await.Until(s.Ctx, func() bool {
		pods, err := s.product.Pods(s.Ctx, "core")
		return err == nil && len(pods) == 0
	}))
	s.Cleanup(func() {
		if err := s.product.ScaleCore(context.Background(), 1); err != nil {
			s.Errorf("bringing core back: %v", err)
		}
	})
	return func() {
		s.Helper()
		require.NoError(s, s.product.ScaleCore(s.Ctx, 1))
	}
}

// The pod is there before core is. Nobody has to do anything to the pod.
func TestCoreInstalledAfterThePod(t *testing.T) {
	s := begin(t)
	s.Run(task("earlier", all(), stays), await.IsReady)
	back := s.withoutCore()
	s.Create(task("task", all(), stays))
	t.Log(s.event("task", "Unavailable", "core cannot be asked now"))
	pod := s.Await("task", func(*corev1.Pod) bool { return true })
	assert.Equal(t, corev1.PodPending, pod.Status.Phase)
	assert.Equal(t, s.product.entries.warehouse(), s.read("earlier", "connections/warehouse"), "what runs keeps its files")
	back()
	s.Await("task", await.IsReady)
	assert.Equal(t, s.product.entries.warehouse(), s.read("task", "connections/warehouse"))
	variable, _ := s.rotate()
	s.awaitVariable("earlier", variable)
	s.awaitVariable("task", variable)
}
