package deliver

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
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

// strangers publishes n volumes of which no two can share a call.
func strangers(t *testing.T, r *rig, n int) []Volume {
	t.Helper()
	volumes := make([]Volume, n)
	for i := range volumes {
		volumes[i] = r.volume(t, fmt.Sprint("pod-", i))
		volumes[i].Pod.ServiceAccount = fmt.Sprint("account-", i)
		require.NoError(t, r.Publish(t.Context(), volumes[i]))
	}
	return volumes
}

func TestTheNodeAsksADeadProviderAsOne(t *testing.T) {
	const volumes = 40
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		all := strangers(t, r, volumes)
		r.fake.Fail(provider.ErrUnavailable)
		before := len(r.fake.Calls())
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		calls := len(r.fake.Calls()) - before
		assert.Greater(t, calls, 10)
		assert.Less(t, calls, 30+rotationsAtOnce, "however many volumes wait")
		assert.Equal(t, 1, strings.Count(r.log.String(), "source cannot be asked"), "one outage is one line")
		for _, v := range all {
			assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
			assert.Regexp(t, `^core cannot be asked now: unavailable; the files were last confirmed 10m0s ago$`, must(r.Health(v.ID)).Problem)
		}

		r.fake.Fail(nil)
		before = len(r.fake.Calls())
		time.Sleep(schedule.MaxBackoff)
		synctest.Wait()
		require.Greater(t, len(r.fake.Calls()), before)
		time.Sleep(schedule.ResyncSpread)
		synctest.Wait()
		assert.Len(t, r.fake.Calls(), before+volumes)
		for _, v := range all {
			assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
			assert.Empty(t, must(r.Health(v.ID)).Problem)
		}
		assert.Empty(t, r.Unreachable())
	})
}

func TestAnOutageEndsThoughNoVolumeIsDue(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		strangers(t, r, 5)
		r.fake.Fail(provider.ErrUnavailable)
		require.Error(t, r.Publish(t.Context(), r.volume(t, "new")))
		require.NotEmpty(t, r.Unreachable())
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.NotEmpty(t, r.Unreachable(), "it is looked into, and lasts")

		r.fake.Fail(nil)
		before := len(r.fake.Calls())
		time.Sleep(schedule.MaxBackoff)
		synctest.Wait()
		assert.Empty(t, r.Unreachable())
		assert.Len(t, r.fake.Calls(), before+1, "one call finds out, and nobody else had to wait")
		assert.Contains(t, r.log.String(), "source can be asked again")
	})
}

func TestASignOfLifeIsLookedIntoAtOnce(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		strangers(t, r, 2)
		r.fake.Fail(provider.ErrUnavailable)
		require.Error(t, r.Publish(t.Context(), r.volume(t, "new")))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		r.fake.Fail(nil)
		r.fake.Notify(provider.Change{Entries: []entry.Name{{Kind: entry.Variable, ID: "of nobody here"}}})
		synctest.Wait()
		assert.Empty(t, r.Unreachable())
	})
}

func TestAnOutageThatNobodyLooksIntoIsForgotten(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		r.fake.Fail(provider.ErrUnavailable)
		require.Error(t, r.Publish(t.Context(), r.volume(t, "gone")))
		time.Sleep(2 * time.Minute)
		assert.NotEmpty(t, r.Unreachable(), "kubelet may try again")
		time.Sleep(2 * time.Minute)
		assert.Empty(t, r.Unreachable(), "there is no pod to ask for")
	})
}

func TestRecoverySpreadsOut(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		strangers(t, r, 40)
		r.fake.Fail(provider.ErrUnavailable)
		r.fake.SetConnection(warehouse("second"))
		synctest.Wait()
		r.fake.Fail(nil)
		busiest, total := 0, 0
		for total < 40 {
			before := len(r.fake.Calls())
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			calls := len(r.fake.Calls()) - before
			busiest, total = max(busiest, calls), total+calls
		}
		assert.Less(t, busiest, 25, "that many of 40 in a fifth of the time that they are spread over")
	})
}

func TestACallThatIsGivenUpSaysNothingOfTheProvider(t *testing.T) {
	r := newRig(t)
	defer r.fake.Block()()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	notes := &notebook{}
	r.Observer = notes
	err := r.Publish(ctx, r.volume(t, "a"))
	assert.Equal(t, report.Cancelled, reasonOf(t, err))
	assert.EqualError(t, err, "given up (cancelled): core cannot be asked now: asking the fake: unavailable: context canceled")
	fetch, delivery := notes.last(t)
	assert.Equal(t, "cancelled", fetch.Outcome)
	assert.Equal(t, "cancelled", delivery.Outcome())
	assert.Empty(t, r.Unreachable())
}

// partial lets one service account through and, once blocked, holds up the others.
type partial struct {
	provider.Provider
	blocked atomic.Bool
	release chan struct{}
}

func (p *partial) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	if p.blocked.Load() && strings.HasPrefix(pod.ServiceAccount, "account-") {
		<-p.release
	}
	return p.Provider.Fetch(ctx, pod, request)
}

func TestANewPodComesBeforeEveryRefresh(t *testing.T) {
	slow := &partial{}
	rotated(t, func(r *rig) {
		slow.Provider, slow.release = r.fake, make(chan struct{})
		r.asks.Providers["core"] = slow
		r.set.schedule.PollEvery = time.Second
	}, func(t *testing.T, r *rig) {
		strangers(t, r, 3*rotationsAtOnce)
		slow.blocked.Store(true)
		time.Sleep(time.Minute) // every worker has a refresh in hand, and more are due
		synctest.Wait()
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "new")))
		close(slow.release)
	})
}

func TestVolumesAlikeAreLookedAtTogether(t *testing.T) {
	rotated(t, func(r *rig) { r.fake.WithoutWatch() }, func(t *testing.T, r *rig) {
		for i := range 20 {
			require.NoError(t, r.Publish(t.Context(), r.volume(t, fmt.Sprint("pod-", i))))
			time.Sleep(time.Second)
		}
		before := len(r.fake.Calls())
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Less(t, len(r.fake.Calls())-before, 60, "one volume alone takes fifteen or so, twenty apart would take three hundred")
	})
}

// crowded does not answer the pods of one namespace.
type crowded struct{ provider.Provider }

func (c crowded) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	if pod.Namespace != "evil" {
		return c.Provider.Fetch(ctx, pod, request)
	}
	<-ctx.Done()
	return nil, provider.OfCall(fmt.Errorf("reading namespace evil: %w", provider.ErrUnavailable))
}

func TestASlowNamespaceIsNobodyElsesOutage(t *testing.T) {
	told := &diary{}
	rotated(t, func(r *rig) {
		r.asks.Providers["core"], r.Recorder = crowded{r.fake}, told
		r.asks.FetchTimeout = 11 * time.Second
	}, func(t *testing.T, r *rig) {
		ctx, stop := context.WithCancel(t.Context())
		var evil sync.WaitGroup
		for i := range 40 {
			v := r.volume(t, fmt.Sprint("evil-", i))
			v.Pod.Namespace, v.Pod.ServiceAccount = "evil", fmt.Sprint("account-", i)
			evil.Go(func() {
				for ctx.Err() == nil { // as kubelet does
					assert.Error(t, r.Publish(ctx, v))
					time.Sleep(schedule.UrgentPause)
				}
			})
		}
		for i := range 60 {
			v := r.volume(t, fmt.Sprint("bank-", i))
			v.Pod.Namespace = "bank"
			require.NoError(t, r.Publish(t.Context(), v))
			require.Empty(t, must(r.Health(v.ID)).Problem)
			time.Sleep(time.Second / 2)
		}
		assert.Empty(t, r.Unreachable(), "the others are answered")
		assert.Equal(t, 1, strings.Count(r.log.String(), "does not answer a namespace"))
		assert.NotContains(t, r.log.String(), "source cannot be asked")
		stop()
		evil.Wait()
		for _, line := range told.read() {
			assert.True(t, strings.HasPrefix(line, "evil-"), line)
		}
	})
}

// throttled is told by the provider to ask less for one service account.
type throttled struct{ provider.Provider }

func (h throttled) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	if pod.ServiceAccount != "greedy" {
		return h.Provider.Fetch(ctx, pod, request)
	}
	return nil, provider.OfAccount(fmt.Errorf("asking: %w", provider.ErrUnavailable))
}

func TestAThrottledServiceAccountIsNoOutageOfItsNamespace(t *testing.T) {
	rotated(t, func(r *rig) { r.asks.Providers["core"] = throttled{r.fake} }, func(t *testing.T, r *rig) {
		for i := range 20 {
			greedy, modest := r.volume(t, fmt.Sprint("greedy-", i)), r.volume(t, fmt.Sprint("modest-", i))
			greedy.Pod.ServiceAccount = "greedy"
			require.ErrorIs(t, r.Publish(t.Context(), greedy), provider.ErrUnavailable)
			require.NoError(t, r.Publish(t.Context(), modest))
		}
		assert.Empty(t, r.Unreachable())
		assert.NotContains(t, r.log.String(), "does not answer a namespace")
	})
}

// withholding gives one service account nothing, though it says what is refused.
type withholding struct {
	*providertest.Fake
	from string
	isOn *atomic.Bool
}

func (w withholding) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	entries, err := w.Fake.Fetch(ctx, pod, request)
	for i := range entries {
		if w.isOn.Load() && pod.ServiceAccount == w.from && entries[i].State == entry.Delivered {
			entries[i] = entry.Refused(entries[i].Name(), entry.Unavailable, "it asks too much")
		}
	}
	return entries, err
}

// What core withholds from a pod that has filled its share of the audit log is held, what is taken away
// leaves at once all the same, and the pod asks again at the pace of one that failed.
func TestWhatIsWithheldIsHeldAndAskedForAgain(t *testing.T) {
	var isOn atomic.Bool
	rotated(t, func(r *rig) { r.asks.Providers["core"] = withholding{r.fake, "greedy", &isOn} }, func(t *testing.T, r *rig) {
		greedy, modest := r.volume(t, "greedy"), r.volume(t, "modest")
		greedy.Pod.ServiceAccount = "greedy"
		require.NoError(t, r.Publish(t.Context(), greedy))
		require.NoError(t, r.Publish(t.Context(), modest))
		isOn.Store(true)
		r.fake.SetVariable("region", "south")
		r.fake.Deny("greedy", connectionName("warehouse"))
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, "south", read(t, modest, "variables/region"))
		assert.NotEqual(t, "south", read(t, greedy, "variables/region"), "it is held")
		assert.NoFileExists(t, filepath.Join(greedy.TargetPath, "connections/warehouse"), "it is taken away")
		require.NotNil(t, entryOf(t, greedy, "region").Held)
		assert.Contains(t, entryOf(t, greedy, "region").Held.Why, "it asks too much")
		assert.Contains(t, must(r.Health(greedy.ID)).Problem, "it asks too much")
		assert.Empty(t, r.Unreachable(), "core answers")
		late := r.volume(t, "late")
		late.Pod.ServiceAccount = "greedy"
		require.ErrorIs(t, r.Publish(t.Context(), late), provider.ErrUnavailable, "kubelet tries again")

		before := len(r.fake.Calls())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.InDelta(t, 15, len(r.fake.Calls())-before, 6, "a call a minute, once it was asked for in vain a few times")
		isOn.Store(false)
		time.Sleep(2 * schedule.MaxBackoff)
		synctest.Wait()
		assert.Equal(t, "south", read(t, greedy, "variables/region"))
		assert.Nil(t, entryOf(t, greedy, "region").Held)
	})
}
