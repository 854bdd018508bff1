package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/test/stack"
)

// patience is how long a small pod may wait, whatever another namespace does.
const patience = 2 * time.Second

// sized are variables by the names of their sizes.
func sized() map[string]any {
	values := map[string]any{}
	for name, size := range map[string]int{"k400": 400 << 10, "m1": 1 << 20, "m7": 7 << 20} {
		values[name] = strings.Repeat("x", size)
	}
	return values
}

// sizedCore is the limit of a core that takes a file with these.
const sizedCore = 256 << 20

// mix is pods of every size that start at once.
func (n *node) mix(t *testing.T) []stack.Pod {
	t.Helper()
	variables := []string{shared, "k400", "m1", "m7"}
	return n.pods(t, 120, evil, "core", "", func(i int, pod *stack.Pod) {
		pod.Attributes["variables"] = variables[i%len(variables)]
	})
}

func TestAMixOfSizes(t *testing.T) {
	n := newNode(t, options{variables: sized(), coreMemory: sizedCore})
	row := n.row("120 pods at once, with values of a few bytes to 7 MiB", "one namespace", "core")
	row.run(t, func() { n.attack(t, "pods", n.kubelet(n.mix(t))) })
	assert.LessOrEqual(t, slices.Max(row.beside.took), patience)
	row.record(t)
}

func TestAMixOfSizesAndAKill(t *testing.T) {
	n := newNode(t, options{variables: sized(), coreMemory: sizedCore})
	row := n.row("the same, and the driver is killed (SIGKILL) meanwhile", "one namespace", "core")
	row.run(t, func() {
		pods := n.mix(t)
		n.attack(t, "pods", n.kubelet(pods))
		pause(t, time.Second)
		n.Driver.Kill()
		require.NoError(t, n.StartDriver(context.Background()))
		began := time.Now()
		require.NoError(t, n.Kubelet.Unpublish(t.Context(), pods[len(pods)-1]), "a large pod can end")
		row.note("a large pod ended %s after the driver's start", short(time.Since(began)))
		assert.LessOrEqual(t, time.Since(began), patience)
	})
	assert.LessOrEqual(t, slices.Max(row.beside.took), patience)
	row.record(t)
}

func TestManyLargeSecrets(t *testing.T) {
	n := newNode(t, options{})
	asked := make([]string, 300)
	for i := range asked {
		asked[i] = fmt.Sprint("large", i)
		store(n.api, evil, asked[i], strings.Repeat("x", 64<<10))
	}
	row := n.row("2 pods, each of 300 Secrets of 64 KiB", "Secrets of one namespace", "kubernetes")
	alone := n.pod(t, evil, "alone", "kubernetes", strings.Join(asked, ","))
	require.Equal(t, codes.ResourceExhausted, status.Code(n.Kubelet.Publish(t.Context(), alone)))
	row.note("one pod alone was refused after %d MiB were read", n.api.Sent(evil)>>20)
	assert.LessOrEqual(t, n.api.Sent(evil), int64(32<<20))
	assert.Greater(t, n.api.Sent(evil), int64(1<<20), "the attack is one")
	row.run(t, func() {
		n.attack(t, "pods", n.kubelet(n.pods(t, 2, evil, "kubernetes", strings.Join(asked, ","), nil)))
		// So many Secrets take a while at the pace that the API server is asked at.
		require.Eventually(t, func() bool {
			return strings.Contains(n.NodeOutput(), "all entries together are larger than the volume may be")
		}, time.Minute, 50*time.Millisecond)
	})
	row.record(t)
}
