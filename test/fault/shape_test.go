package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/test/stack"
)

// TestEverythingAtOnce has a whole node's pods start while secrets rotate and core
// restarts under them.
func TestEverythingAtOnce(t *testing.T) {
	const podsPerNode = 110
	r := newRigFrom(t, stack.Options{Bin: binaries(t), Profiles: true})
	row := r.row("110 pods start, secrets rotate and core restarts, all at once", "real process")
	crowd := make([]stack.Pod, podsPerNode)
	for i := range crowd {
		crowd[i] = pod(fmt.Sprint("crowd-", i), r.pods[0].Token)
		crowd[i].ServiceAccount = fmt.Sprint("account-", i) // so that none shares a call
	}
	busiest := r.watchGoroutines(t)
	wait := each(crowd, r.publishAsKubeletDoes)
	r.rotate(t)
	r.Core.Kill()
	r.rotate(t)
	require.NoError(t, r.StartCore(context.Background()))
	r.rotate(t)
	require.Zero(t, wait())
	most, err := busiest()
	require.NoError(t, err)
	assert.Less(t, most, 3*podsPerNode, "the driver's most goroutines")
	t.Log("the driver's most goroutines:", most)
	r.republish(t, row)
	r.converge(t, row)
	for _, p := range crowd {
		require.Eventually(t, func() bool {
			mark, err := markOf(r.Kubelet.Target(p))
			return err == nil && mark == r.mark
		}, convergeTimeout, 10*time.Millisecond)
	}
	assert.Less(t, highWater(t, r), 64<<20, "the driver's most memory")
	require.Eventually(t, func() bool { // once the last connections beyond those that are kept, which are 30, have ended
		descriptors, err := os.ReadDir(filepath.Join("/proc", r.Driver.ID(), "fd"))
		return err == nil && len(descriptors) < 64
	}, convergeTimeout, 100*time.Millisecond)
	require.Eventually(t, func() bool { count, err := r.Goroutines(t.Context()); return err == nil && count < 40 }, convergeTimeout, 100*time.Millisecond)
	require.Zero(t, each(crowd, r.Kubelet.Unpublish)())
	assert.Equal(t, len(r.pods), r.mounts(t))
	row.record(t)
}

// watchGoroutines counts them again and again until it is asked for the most.
func (r *rig) watchGoroutines(t *testing.T) (busiest func() (int, error)) {
	t.Helper()
	stop, ended := make(chan struct{}), make(chan struct{})
	most, failure := 0, error(nil)
	go func() {
		defer close(ended)
		for {
			count, err := r.Goroutines(t.Context())
			most, failure = max(most, count), errors.Join(failure, err)
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() (int, error) {
		close(stop)
		testwait.Closed(t, ended)
		return most, failure
	}
}

// publishAsKubeletDoes comes back, half a second later and then twice as long each time.
func (r *rig) publishAsKubeletDoes(ctx context.Context, p stack.Pod) error {
	for pause := 500 * time.Millisecond; ; pause *= 2 {
		err := r.Kubelet.Publish(ctx, p)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// highWater is the most resident memory that the driver ever had, in bytes.
func highWater(t *testing.T, r *rig) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", r.Driver.ID(), "status"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "VmHWM:")
	require.True(t, found)
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return kilobytes << 10
}

func TestNewPodsWithinTheOfflineGrace(t *testing.T) {
	r := newRig(t, "--offline-grace=1m")
	row := r.row("pods start while core is away, within the offline grace", "real process")
	for round := range some() {
		r.Core.Kill()
		late := pod(fmt.Sprint("late-", round), r.pods[0].Token)
		require.NoError(t, r.Kubelet.Publish(t.Context(), late))
		mark, err := markOf(r.Kubelet.Target(late))
		require.NoError(t, err)
		assert.Equal(t, r.mark, mark)
		assert.True(t, isOffline(t, r, late))

		stranger := pod("stranger", r.pods[0].Token)
		stranger.ServiceAccount = "another"
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // too little to wait in
		assert.ErrorContains(t, r.Kubelet.Publish(ctx, stranger), "core cannot be asked now")
		cancel()

		r.rotate(t)
		require.NoError(t, r.StartCore(context.Background()))
		r.converge(t, row)
		require.Eventually(t, func() bool { return !isOffline(t, r, late) }, convergeTimeout, 10*time.Millisecond)
		require.NoError(t, r.Kubelet.Unpublish(t.Context(), late))
	}
	row.record(t)
}

func isOffline(t *testing.T, r *rig, p stack.Pod) bool {
	t.Helper()
	shown, err := mount.Current(r.Kubelet.Target(p))
	return err == nil && shown.Manifest.Offline
}
