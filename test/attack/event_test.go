package attack

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// TestAFloodOfEvents has pods of one tenant fail in ever new ways, and one of another fail once.
func TestAFloodOfEvents(t *testing.T) {
	n := newNode(t, options{})
	row := n.row("one tenant's pods fail in ever new ways", "100 pods that list entries which are not there, and come back", "core")
	var began time.Time
	row.run(t, func() {
		began = time.Now()
		n.attack(t, "pods", n.kubelet(n.pods(t, 100, evil, "core", "", func(_ int, pod *stack.Pod) {
			pod.Attributes["variables"] = "absent_" + pod.UID
		})))
	})
	fails := n.pod(t, bank, "fails", "core", "absent")
	asked := time.Now()
	require.Error(t, n.Kubelet.Publish(t.Context(), fails))
	require.Eventually(t, func() bool { return n.told(fails) }, 10*time.Second, 10*time.Millisecond, "the pod's event")
	row.note("an honest pod's event was written after %s", short(time.Since(asked)))
	row.note("the API server had %d calls a second at most", n.api.Busiest(began))
	assert.LessOrEqual(t, n.api.Busiest(began), 50)
	assert.Greater(t, len(n.api.Events()), 20, "the attack is one")
	row.record(t)
}

// told reports whether an event about the pod was written.
func (n *node) told(pod stack.Pod) bool {
	for _, event := range n.api.Events() {
		if event.InvolvedObject.Name == pod.Name && event.Namespace == pod.Namespace && strings.Contains(event.Message, "absent") {
			return true
		}
	}
	return false
}
