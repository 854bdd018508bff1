package attack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/test/stack"
)

// startEvery is the time from the beginning of one honest start to that of the next.
const startEvery = 100 * time.Millisecond

// startWithin is what an honest start may take, whatever others do.
const startWithin = 2 * time.Second

// starts are those of honest pods, one after the other.
type starts struct {
	took   []time.Duration
	failed []error
}

// p99 is the time that all but one in a hundred took at most.
func (s starts) p99() time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.took))
	return sorted[(len(sorted)*99+99)/100-1]
}

// startHonest starts pods of the honest tenant for that long, of each source in turn. Nobody tries
// again: kubelet's first failure counts.
func (n *node) startHonest(t *testing.T, length time.Duration, sources ...string) (made starts) {
	t.Helper()
	var pods []stack.Pod
	for _, source := range sources {
		pods = append(pods, n.pod(t, bank, "honest-"+source, source, shared))
	}
	return n.startPods(t, length, pods)
}

// startPods starts these pods for that long, each in turn.
func (n *node) startPods(t *testing.T, length time.Duration, pods []stack.Pod) (made starts) {
	t.Helper()
	ticks := time.NewTicker(startEvery)
	defer ticks.Stop()
	for i, until := 0, time.Now().Add(length); time.Now().Before(until); i++ {
		<-ticks.C
		pod := pods[i%len(pods)]
		pod.UID = fmt.Sprint(pod.UID, "-", i)
		began := time.Now()
		err := n.startOne(t.Context(), pod)
		took := time.Since(began)
		made.took = append(made.took, took)
		if err == nil && took > startWithin {
			err = fmt.Errorf("a start took %s", took)
		}
		if err != nil {
			made.failed = append(made.failed, err)
		}
		assert.NoError(t, n.Kubelet.Unpublish(t.Context(), pod), "an honest pod that ends")
	}
	return made
}

func (n *node) startOne(ctx context.Context, pod stack.Pod) error {
	if err := n.Kubelet.Publish(ctx, pod); err != nil {
		return err
	}
	return n.shows(pod)
}

// shows is what is wrong with the files of a pod that asked for the variable that all share.
func (n *node) shows(pod stack.Pod) error {
	content, err := os.ReadFile(filepath.Join(n.Kubelet.Target(pod), "variables", shared))
	if err == nil && string(content) != "eu" {
		err = fmt.Errorf("the volume says %q", content)
	}
	return err
}

// ages watches how old the confirmation of a pod's files grows until it is asked.
func (n *node) ages(t *testing.T, pod stack.Pod) (oldest func() time.Duration) {
	t.Helper()
	require.NoError(t, n.Kubelet.Publish(t.Context(), pod))
	ctx, stop := context.WithCancel(t.Context())
	var age time.Duration
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			shown, err := mount.Current(n.Kubelet.Target(pod))
			if assert.NoError(t, err) {
				age = max(age, time.Since(shown.Confirmed))
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() time.Duration {
		stop()
		watching.Wait()
		return age
	}
}
