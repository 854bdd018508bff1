package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

// extras are pods that come or go while the driver is killed.
const extras = 4

// killWithin kills the driver at some instant of the time given, and starts another.
func (r *rig) killWithin(t *testing.T, longest time.Duration) {
	t.Helper()
	pause(t, rand.N(longest))
	r.Driver.Kill()
	require.NoError(t, r.StartDriver(context.Background()))
}

// mounts counts the volumes of this rig.
func (r *rig) mounts(t *testing.T) (count int) {
	t.Helper()
	infos, err := mount.List()
	require.NoError(t, err)
	for _, info := range infos {
		if strings.HasPrefix(info.Target, r.Dir) {
			count++
		}
	}
	return count
}

func (r *rig) extras(round int) []stack.Pod {
	pods := make([]stack.Pod, extras)
	for i := range pods {
		pods[i] = pod(fmt.Sprintf("extra-%d-%d", round, i), r.pods[0].Token)
	}
	return pods
}

// each makes a call for every pod at once, and returns how many did not get through.
func each(pods []stack.Pod, call func(context.Context, stack.Pod) error) (wait func() (failed int)) {
	errs := make([]error, len(pods))
	var calls sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	for i, p := range pods {
		calls.Go(func() { errs[i] = call(ctx, p) })
	}
	return func() (failed int) {
		calls.Wait()
		cancel()
		for _, err := range errs {
			if err != nil {
				failed++
			}
		}
		return failed
	}
}

func TestDriverKilledInPublish(t *testing.T) {
	r := newRig(t)
	row := r.row("driver killed (SIGKILL) while it publishes", "real process, random instant")
	caught := 0
	for round := range *kills {
		pods := r.extras(round)
		wait := each(pods, r.Kubelet.Publish)
		r.killWithin(t, 8*time.Millisecond)
		caught += wait()
		for _, p := range pods {
			if _, err := os.Lstat(r.Kubelet.Target(p) + "/..data"); err == nil {
				_, err := markOf(r.Kubelet.Target(p))
				assert.NoError(t, err, "what passes for complete is complete")
			}
		}
		require.Zero(t, each(pods, r.Kubelet.Publish)(), "kubelet's next try")
		for _, p := range pods {
			mark, err := markOf(r.Kubelet.Target(p))
			require.NoError(t, err)
			assert.Equal(t, r.mark, mark)
		}
		require.Zero(t, each(pods, r.Kubelet.Unpublish)())
		r.republish(t, row)
		r.converge(t, row)
	}
	assert.Positive(t, caught, "no kill hit a publish: the test tested nothing")
	row.record(t)
}

func TestDriverKilledInRotation(t *testing.T) {
	r := newRig(t)
	row := r.row("driver killed (SIGKILL) while it rotates", "real process, random instant")
	halfway := 0
	for range *kills {
		r.rotate(t)
		r.reader.awaitFirst(r.mark, 200*time.Millisecond)
		r.killWithin(t, 2*time.Millisecond)
		if behind := r.reader.behind(r.mark); behind > 0 && behind < len(r.pods) {
			halfway++
		}
		r.republish(t, row)
		r.converge(t, row)
	}
	t.Logf("%d of %d kills left some volumes new and some old", halfway, *kills)
	row.record(t)
}

func TestDriverKilledInUnpublish(t *testing.T) {
	r := newRig(t)
	row := r.row("driver killed (SIGKILL) while it unpublishes", "real process, random instant")
	caught := 0
	for round := range *kills {
		pods := r.extras(round)
		require.Zero(t, each(pods, r.Kubelet.Publish)())
		wait := each(pods, r.Kubelet.Unpublish)
		r.killWithin(t, 3*time.Millisecond)
		caught += wait()
		require.Zero(t, each(pods, r.Kubelet.Unpublish)(), "kubelet's next try")
		for _, p := range pods {
			assert.NoDirExists(t, r.Kubelet.Target(p))
		}
		assert.Equal(t, len(r.pods), r.mounts(t), "no mount is left behind")
		r.republish(t, row)
		r.converge(t, row)
	}
	assert.Positive(t, caught, "no kill hit an unpublish: the test tested nothing")
	row.record(t)
}

func TestDriverKilledInHold(t *testing.T) {
	r := newRig(t)
	row := r.row("driver killed (SIGKILL) while it holds one entry and rotates the others", "real process, random instant")
	for range *kills {
		r.rotate(t, broken)
		r.reader.awaitFirst(r.mark, 200*time.Millisecond)
		r.killWithin(t, 2*time.Millisecond)
		r.republish(t, row)
		r.converge(t, row)
		for _, p := range r.pods {
			assert.Equal(t, []string{first}, held(t, r.Kubelet.Target(p)))
		}
		r.rotate(t)
		r.converge(t, row)
	}
	row.times /= 2
	row.record(t)
}

// held are the ids of what the volume only carries over.
func held(t *testing.T, target string) (ids []string) {
	t.Helper()
	shown, err := mount.Current(target)
	require.NoError(t, err)
	for _, line := range shown.Manifest.Entries {
		if line.Held != nil {
			ids = append(ids, line.ID)
		}
	}
	return ids
}

func TestDriverKilledInWithdrawal(t *testing.T) {
	r := newRig(t)
	row := r.row("driver killed (SIGKILL) while it withdraws one entry and rotates the others", "real process, random instant")
	halfway := 0
	for range *kills {
		r.reader.withdrawn.Store(true)
		r.rotate(t, without)
		r.reader.awaitFirst(r.mark, 200*time.Millisecond)
		r.killWithin(t, 2*time.Millisecond)
		if behind := r.reader.behind(r.mark); behind > 0 && behind < len(r.pods) {
			halfway++
		}
		r.republish(t, row)
		r.converge(t, row)
		for _, p := range r.pods {
			assert.NoFileExists(t, filepath.Join(r.Kubelet.Target(p), layout.ConnectionsDir, first))
		}
		r.rotate(t)
		r.converge(t, row)
		r.reader.withdrawn.Store(false)
	}
	t.Logf("%d of %d kills left some volumes without the entry and some with it", halfway, *kills)
	row.times /= 2
	row.record(t)
}
