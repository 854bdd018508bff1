package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// away runs a test in virtual time at a node whose source is known to be away.
func away(t *testing.T, arrange func(*rig), test func(*testing.T, *rig)) {
	t.Helper()
	rotated(t, func(r *rig) { r.asks.FetchTimeout = time.Second; arrange(r) }, func(t *testing.T, r *rig) {
		r.fake.Fail(provider.ErrUnavailable)
		began := time.Now()
		require.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), r.volume(t, "first"))))
		require.Zero(t, time.Since(began), "who finds out is told")
		test(t, r)
	})
}

// inNamespace is a volume of a pod of that namespace.
func (r *rig) inNamespace(t *testing.T, namespace string, i int) Volume {
	v := r.volume(t, fmt.Sprint(namespace, "-", i))
	v.Pod.Namespace = namespace
	return v
}

// asKubelet publishes until it succeeds, later and later after each failure. It returns when it did.
func (r *rig) asKubelet(ctx context.Context, v Volume) (started time.Time) {
	for backoff := 500 * time.Millisecond; r.Publish(ctx, v) != nil; backoff = min(2*backoff, 122*time.Second) {
		time.Sleep(backoff)
	}
	return time.Now()
}

// The outage of 45 seconds after which pods took 35 seconds more, and one longer than any call.
func TestPodsStartAsSoonAsTheirSourceIsBack(t *testing.T) {
	const pods, namespaces = 110, 11
	for _, outage := range []time.Duration{20 * time.Second, 45 * time.Second, 61 * time.Second} {
		away(t, func(*rig) {}, func(t *testing.T, r *rig) {
			began, before := time.Now(), len(r.fake.Calls())
			starts := make(chan time.Time, pods)
			for i := range pods {
				v := r.inNamespace(t, fmt.Sprint("tenant-", i%namespaces), i)
				go func() { starts <- r.asKubelet(t.Context(), v) }()
			}
			time.Sleep(outage)
			synctest.Wait()
			probes := len(r.fake.Calls()) - before
			assert.Greater(t, probes, int(outage/schedule.UrgentPause)-pods, "somebody looks")
			assert.LessOrEqual(t, probes, int(outage/schedule.UrgentPause)+1, "one at a time")
			assert.Empty(t, starts)
			assert.Zero(t, r.Memory().HeldWork, "waiting takes no memory")
			assert.Empty(t, r.mounted(t))
			assert.Less(t, strings.Count(r.log.String(), `"level":"WARN"`), 3, "one outage is one line")

			back := time.Now()
			r.fake.Fail(nil)
			for range pods {
				assert.WithinDuration(t, back, <-starts, 2*time.Second, "after %s", back.Sub(began))
			}
		})
	}
}

// ends are what a publish does not wait any longer for.
func ends() map[string]func(r *rig, v Volume, cancel func()) {
	return map[string]func(r *rig, v Volume, cancel func()){
		"is cancelled":    func(_ *rig, _ Volume, cancel func()) { cancel() },
		"is unpublished":  func(r *rig, v Volume, _ func()) { _ = r.Unpublish(context.Background(), v.ID, v.TargetPath) },
		"the driver ends": func(r *rig, _ Volume, _ func()) { r.set.endAll() },
	}
}

func TestAWaitingPublishEndsAtOnce(t *testing.T) {
	endsAtOnce(t, "core cannot be asked now", func(t *testing.T, body func(*testing.T, *rig)) { away(t, func(*rig) {}, body) })
}

// endsAtOnce has a publish wait on a node that begin makes, and ends it in each way there is.
func endsAtOnce(t *testing.T, says string, begin func(t *testing.T, body func(*testing.T, *rig))) {
	t.Helper()
	for name, end := range ends() {
		t.Run(name, func(t *testing.T) {
			begin(t, func(t *testing.T, r *rig) {
				v, ended := r.volume(t, "late"), make(chan error)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { ended <- r.Publish(ctx, v) }()
				time.Sleep(time.Second)
				synctest.Wait()
				require.Empty(t, ended)
				began := time.Now()
				end(r, v, cancel)
				require.ErrorContains(t, <-ended, says)
				assert.Zero(t, time.Since(began))
				assert.Nil(t, r.set.find(v.ID))
			})
		})
	}
}

func TestAPublishWaitsNoLongerThanItsCallerWaits(t *testing.T) {
	for limit, want := range map[time.Duration]time.Duration{
		time.Hour: awaitFor, 20 * time.Second: 19 * time.Second, time.Second: 0,
	} {
		away(t, func(*rig) {}, func(t *testing.T, r *rig) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(ctx, r.volume(t, "late"))))
			assert.Equal(t, want, time.Since(began))
		})
	}
}

// A pod that runs waits for nothing: kubelet ends no pod while a call of its volume goes on.
func TestARepublishDoesNotWait(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v, lost := r.volume(t, "a"), r.volume(t, "lost")
		require.NoError(t, r.Publish(t.Context(), v))
		require.NoError(t, r.Publish(t.Context(), lost))
		r.fake.Fail(provider.ErrUnavailable)
		require.Error(t, r.Publish(t.Context(), r.volume(t, "first")))
		require.NoError(t, mount.Unmount(lost.TargetPath))
		began := time.Now()
		require.NoError(t, r.Publish(t.Context(), v))
		require.Error(t, r.Publish(t.Context(), lost))
		assert.Zero(t, time.Since(began))
	})
}

func TestWhatIsRememberedIsNotWaitedFor(t *testing.T) {
	rotated(t, func(r *rig) {
		r.asks.FetchTimeout = time.Second
		r.remember(time.Hour)
	}, func(t *testing.T, r *rig) {
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "a")))
		r.fake.Fail(provider.ErrUnavailable)
		require.Error(t, r.Publish(t.Context(), r.inNamespace(t, "other", 0)))
		began := time.Now()
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "b")))
		assert.Zero(t, time.Since(began))
	})
}

// Who has many pods waiting is refused as before, and leaves others room to wait in.
func TestWaitingPublishesAreBounded(t *testing.T) {
	away(t, func(*rig) {}, func(t *testing.T, r *rig) {
		var mu sync.Mutex
		refused := map[string]int{}
		var all sync.WaitGroup
		began := time.Now()
		publish := func(namespace string, count int) {
			for i := range count {
				v := r.inNamespace(t, namespace, i)
				all.Go(func() {
					if assert.Error(t, r.Publish(t.Context(), v)) && time.Since(began) < awaitFor {
						mu.Lock()
						defer mu.Unlock()
						refused[namespace]++
					}
				})
			}
			synctest.Wait()
		}
		publish("evil", 300)
		publish("bank", 30)
		all.Wait()
		assert.Equal(t, map[string]int{"evil": 300 - 120}, refused)
	})
}

// silent takes its time for the pods of one namespace while it is away.
type silent struct{ provider.Provider }

func (s silent) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	entries, err := s.Provider.Fetch(ctx, pod, request)
	if err != nil && pod.Namespace == "evil" {
		<-ctx.Done()
	}
	return entries, err
}

func TestAProbeThatHangsHoldsUpItsNamespaceAlone(t *testing.T) {
	away(t, func(r *rig) { r.asks.Providers["core"] = silent{r.fake} }, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithCancel(t.Context())
		var evil sync.WaitGroup
		defer evil.Wait()
		defer cancel()
		for i := range 20 {
			v := r.inNamespace(t, "evil", i)
			evil.Go(func() { _ = r.Publish(ctx, v) })
		}
		bank := r.inNamespace(t, "bank", 0)
		started := make(chan time.Time, 1)
		go func() { started <- r.asKubelet(t.Context(), bank) }()
		time.Sleep(10 * time.Second)
		back := time.Now()
		r.fake.Fail(nil)
		assert.WithinDuration(t, back, <-started, 2*time.Second)
	})
}

// A call that was admitted and is not made, for want of memory say, is for the next to make.
func TestAProbeThatIsNotMadeIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.asks.FetchTimeout = time.Second
		r.fake.Fail(provider.ErrUnavailable)
		require.Error(t, r.Publish(t.Context(), r.volume(t, "first")))
		v, err := r.adopt(r.volume(t, "given up"))
		require.NoError(t, err)
		time.Sleep(schedule.UrgentPause)
		tasks, _, _ := r.set.beginAdmitted(v, time.Time{}, time.Now())
		require.True(t, tasks[0].admitted.IsProbe())
		tasks[0].spec.Provider = "none" // so that nobody is asked
		require.Error(t, r.deliverNew(t.Context(), tasks))
		r.fake.Fail(nil)
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "next")))
	})
}

// absent is a Fetcher that is not there until it has returned.
type absent struct {
	seam.Fetcher
	isBack atomic.Bool
	asked  atomic.Int32
}

func (a *absent) IsThere() bool { return a.isBack.Load() }

func (a *absent) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	if a.asked.Add(1); !a.isBack.Load() {
		return seam.ErrAway
	}
	return a.Fetcher.Fetch(ctx, work, taker)
}

// Kubelet starts a fetcher again after ten seconds, twenty, forty and eighty. Whoever starts meanwhile does so
// with it, and takes no memory while it waits.
func TestPodsStartAsSoonAsTheFetcherIsBack(t *testing.T) {
	const pods = 110
	for _, pause := range []time.Duration{time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second} {
		fetcher := &absent{}
		rotated(t, func(r *rig) { fetcher.Fetcher, r.Fetcher = r.Fetcher, fetcher }, func(t *testing.T, r *rig) {
			starts := make(chan time.Time, pods)
			for i := range pods {
				v := r.inNamespace(t, fmt.Sprint("tenant-", i%11), i)
				go func() { starts <- r.asKubelet(t.Context(), v) }()
			}
			time.Sleep(pause)
			synctest.Wait()
			assert.Empty(t, starts)
			assert.Zero(t, r.Memory().HeldWork, "waiting takes no memory")
			assert.Empty(t, r.mounted(t))
			back := time.Now()
			fetcher.isBack.Store(true)
			r.FetcherReturned()
			for range pods {
				assert.WithinDuration(t, back, <-starts, time.Second, "after %s", pause)
			}
		})
	}
}

// waits has who asks an absent Fetcher wait for it as long as the seam does, with the memory of the call.
type waits struct{ *absent }

func (w waits) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	if !w.isBack.Load() {
		pause.Wait(ctx, 3*time.Second)
	}
	return w.absent.Fetch(ctx, work, taker)
}

// With little memory pods do not wait for each other's calls, which nobody answers: each waits for the fetcher,
// and none is told that memory is short.
func TestWhoWaitsForTheFetcherReservesNothing(t *testing.T) {
	const pods = 60
	fetcher := &absent{}
	arrange := func(r *rig) {
		r.Budget, r.asks.FetchTimeout = budget.New(small, nil), 10*time.Second
		fetcher.Fetcher, r.Fetcher = r.Fetcher, waits{fetcher}
	}
	rotated(t, arrange, func(t *testing.T, r *rig) {
		ended := make(chan error, pods)
		for i := range pods {
			v := r.inNamespace(t, fmt.Sprint("tenant-", i%6), i)
			go func() { ended <- r.Publish(t.Context(), v) }()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Zero(t, r.Memory().HeldWork)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		assert.Empty(t, ended)
		back := time.Now()
		fetcher.isBack.Store(true)
		r.FetcherReturned()
		for range pods {
			require.NoError(t, <-ended)
		}
		assert.Less(t, time.Since(back), time.Second)
	})
}

func TestWhoWaitsForTheFetcherEndsAtOnce(t *testing.T) {
	endsAtOnce(t, "the node's fetcher is not there", func(t *testing.T, body func(*testing.T, *rig)) {
		rotated(t, func(r *rig) { r.Fetcher = waits{&absent{Fetcher: r.Fetcher}} }, body)
	})
}

// One that hangs up on every call is not called without pause.
func TestAFetcherThatAnswersNobodyIsCalledTwiceASecond(t *testing.T) {
	fetcher := &absent{}
	there := func(r *rig) { fetcher.Fetcher, r.Fetcher = r.Fetcher, present{fetcher} }
	rotated(t, there, func(t *testing.T, r *rig) {
		began := time.Now()
		assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), r.volume(t, "late"))))
		assert.Equal(t, awaitFor, time.Since(began))
		assert.LessOrEqual(t, int(fetcher.asked.Load()), 1+int(awaitFor/schedule.UrgentPause))
	})
}

type present struct{ *absent }

func (present) IsThere() bool { return true }
