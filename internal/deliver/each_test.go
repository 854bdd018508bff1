package deliver

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// alone is a provider that takes one pod at a time, so many milliseconds each, and that
// never answers the pods that are silenced.
type alone struct {
	fake  *providertest.Fake
	takes time.Duration

	mu       sync.Mutex
	silenced map[string]bool
	calls    int
}

func (a *alone) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	a.mu.Lock()
	a.calls++
	silenced, takes := a.silenced[pod.PodName] || a.silenced["*"], a.takes
	a.mu.Unlock()
	if silenced {
		<-ctx.Done()
		return nil, fmt.Errorf("asking: %w: %w", provider.ErrUnavailable, context.Cause(ctx))
	}
	time.Sleep(takes)
	return a.fake.Fetch(ctx, pod, request)
}

func (a *alone) Watch(ctx context.Context, notify func(provider.Change)) error {
	return a.fake.Watch(ctx, notify)
}

func (a *alone) set(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// fullNode has as many pods as a node runs, all of them alike.
func fullNode(t *testing.T, test func(t *testing.T, r *rig, source *alone, volumes []Volume)) {
	t.Helper()
	source := &alone{silenced: map[string]bool{}}
	rotated(t, func(r *rig) {
		source.fake = r.fake
		r.asks.Providers["core"], r.asks.FetchTimeout = source, 10*time.Second
	}, func(t *testing.T, r *rig) {
		var volumes []Volume
		for i := range 110 {
			volumes = append(volumes, r.volume(t, fmt.Sprint("pod-", i)))
			require.NoError(t, r.Publish(t.Context(), volumes[i]))
		}
		synctest.Wait()
		test(t, r, source, volumes)
	})
}

func countFresh(t *testing.T, volumes []Volume) (fresh int) {
	for _, v := range volumes {
		if read(t, v, "connections/warehouse") == secondURI {
			fresh++
		}
	}
	return fresh
}

func TestAProviderWithoutGroupsIsAskedForManyPodsAtOnce(t *testing.T) {
	fullNode(t, func(t *testing.T, r *rig, source *alone, volumes []Volume) {
		source.set(func() { source.takes = 150 * time.Millisecond })
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		assert.NotZero(t, countFresh(t, volumes), "each is written as its answer comes")
		time.Sleep(1300 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, len(volumes), countFresh(t, volumes))
	})
}

func TestAPodThatIsNotAnsweredHoldsUpNoOther(t *testing.T) {
	fullNode(t, func(t *testing.T, r *rig, source *alone, volumes []Volume) {
		source.set(func() { source.silenced["pod-3"] = true })
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, len(volumes)-1, countFresh(t, volumes))
		time.Sleep(r.asks.FetchTimeout - time.Second/2)
		synctest.Wait()
		assert.Empty(t, r.Unreachable(), "others were answered")
		assert.Contains(t, must(r.Health("csi-pod-3")).Problem, "core cannot be asked now")
	})
}

func TestAProviderWithoutGroupsThatIsAwayIsNotAskedForEveryPod(t *testing.T) {
	fullNode(t, func(t *testing.T, r *rig, source *alone, volumes []Volume) {
		source.set(func() { source.silenced["*"], source.calls = true, 0 })
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(r.asks.FetchTimeout + time.Second)
		synctest.Wait()
		source.set(func() { assert.LessOrEqual(t, source.calls, podsAtOnce+1) })
		assert.NotEmpty(t, r.Unreachable())
		assert.Zero(t, countFresh(t, volumes))

		source.set(func() { clear(source.silenced) })
		time.Sleep(schedule.MaxBackoff + schedule.ResyncSpread)
		synctest.Wait()
		assert.Equal(t, len(volumes), countFresh(t, volumes))
	})
}

// refusing is a provider that cannot be watched, for the reason that it gives.
type refusing struct {
	*providertest.Fake
	why   chan error
	asked chan struct{}
}

func (w refusing) Watch(ctx context.Context, notify func(provider.Change)) error {
	w.asked <- struct{}{}
	if err := <-w.why; err != nil {
		return err
	}
	return w.Fake.Watch(ctx, notify)
}

// refused runs a test before a provider that refuses to be watched, always for why.
func refused(t *testing.T, why error, test func(t *testing.T, r *rig, source refusing)) {
	t.Helper()
	var source refusing
	rotated(t, func(r *rig) {
		source = refusing{r.fake, make(chan error, 1000), make(chan struct{}, 1000)}
		for range cap(source.why) {
			source.why <- why
		}
		r.asks.Providers["core"], r.PollEvery, r.set.schedule.PollEvery = source, time.Hour, time.Hour // so that no poll is taken for a look after a refusal
	}, func(t *testing.T, r *rig) { test(t, r, source) })
}

func TestWhatCannotBeWatchedIsNotWatchedAgain(t *testing.T) {
	refused(t, provider.ErrWatchUnsupported, func(t *testing.T, r *rig, source refusing) {
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "a")))
		before := len(r.fake.Calls())
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		assert.Len(t, source.asked, 1)
		assert.Len(t, r.fake.Calls(), before)
		assert.Equal(t, 1, strings.Count(r.log.String(), "polling for changes"))
	})
}

func TestAWatchThatIsRefusedIsAskedForAgainWithoutAWord(t *testing.T) {
	why := fmt.Errorf("%w: %w", provider.ErrWatchUnsupported, provider.ErrDenied)
	refused(t, why, func(t *testing.T, r *rig, source refusing) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		before := len(r.fake.Calls())
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		assert.Greater(t, len(source.asked), 8)
		assert.Len(t, r.fake.Calls(), before, "a refusal is no news of a change")
		assert.Equal(t, 1, strings.Count(r.log.String(), "polling for changes"))

		for len(source.why) > 0 {
			<-source.why
		}
		close(source.why) // it may watch now
		time.Sleep(watchRetry)
		<-r.fake.Watching()
		synctest.Wait()
		r.fake.SetConnection(warehouse("second"))
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
	})
}

// Sources that have no versions of their own make others in each process.
func TestARestartIsNoRotation(t *testing.T) {
	before := newRig(t)
	before.asks.Resolver = &vault{}
	before.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
	v := before.volume(t, "a")
	v.Connections = named("gcs", "warehouse")
	require.NoError(t, before.Publish(t.Context(), v))
	version := entryOf(t, v, "gcs").Version

	after := before.restarted()
	require.NoError(t, after.Publish(t.Context(), v))
	after.look(t)
	assert.Equal(t, uint64(1), must(after.Health(v.ID)).Generation)
	assert.Equal(t, version, entryOf(t, v, "gcs").Version)
	assert.FileExists(t, filepath.Join(v.TargetPath, "connections/gcs"))
}

// What the token of one task brought is for no other task, whoever asks.
func TestNothingOfATaskIsRemembered(t *testing.T) {
	graceful(t, func(t *testing.T, r *rig) {
		task := r.volume(t, "task")
		task.Pod.ServiceAccount, task.Pod.TaskToken = "tasks", true
		require.NoError(t, r.Publish(t.Context(), task))
		r.fake.Fail(provider.ErrUnavailable)
		for name, changed := range map[string]func(*Volume){
			"another task":      func(v *Volume) { v.Pod.TaskToken = true },
			"the account alone": func(*Volume) {},
		} {
			v := r.volume(t, "other-"+strings.ReplaceAll(name, " ", "-"))
			v.Pod.ServiceAccount = "tasks"
			changed(&v)
			assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), v)), name)
		}
		// Nor is a task given what its account was.
		v := r.volume(t, "late")
		v.Pod.TaskToken = true
		assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), v)))
	})
}
