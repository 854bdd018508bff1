package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// bug makes a part of the daemon panic over what one service account has, once it is on.
type bug struct {
	provider.Provider
	on                          atomic.Bool
	fetcher, provider, observer bool
	// answer is set if it is what the Fetcher makes of an answer that fails.
	answer bool
}

const victim = "account-victim"

// bugged is a Fetcher with a bug.
type bugged struct {
	seam.Fetcher
	bug *bug
}

func (b bugged) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	if !b.bug.on.Load() || work.Volumes[0].Pod.ServiceAccount != victim {
		return b.Fetcher.Fetch(ctx, work, taker)
	}
	if b.bug.fetcher {
		panic(work) // which has a token
	}
	if b.bug.answer {
		taker = spoiling{taker, work}
	}
	return b.Fetcher.Fetch(ctx, work, taker)
}

// spoiling hands on what the Fetcher does where an entry makes it panic: what was taken away. With
// "*" that is what is shown and not spoken of.
type spoiling struct {
	seam.Taker
	work seam.Work
}

func (s spoiling) Take(i int, answer seam.Answer) {
	taken := selected(answer.Entries, func(e seam.Entry) bool { return isWithdrawal(e.State) })
	for _, shown := range s.work.Volumes[i].Shown {
		isSpokenOf := func(e seam.Entry) bool { return e.Name() == shown.Name }
		if s.work.Variables.All && !slices.ContainsFunc(answer.Entries, isSpokenOf) {
			taken = append(taken, seam.Refused(shown.Name, layout.Missing, ""))
		}
	}
	fault := report.Failf(report.Internal, report.ErrPanic, "fault of the driver (told)")
	s.Taker.Take(i, seam.Answer{Err: fault, Entries: taken, Fetched: answer.Fetched})
}

func (b *bug) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	if b.on.Load() && b.provider && pod.ServiceAccount == victim {
		panic(pod) // which has a token
	}
	return b.Provider.Fetch(ctx, pod, request)
}

func (b *bug) Watch(ctx context.Context, notify func(provider.Change)) error {
	return b.Provider.(*providertest.Fake).Watch(ctx, notify)
}

// grumpy is an observer that panics.
type grumpy struct {
	*notebook
	bug *bug
}

func (g grumpy) Delivered(delivery report.Report) {
	if g.bug.on.Load() && g.bug.observer {
		panic("about n33dle")
	}
	g.notebook.Delivered(delivery)
}

// A fault of the driver ends the delivery of the volume that it is met at, and every other
// volume is published and rotates.
func TestAPanicStaysWithItsVolume(t *testing.T) {
	for name, arrange := range map[string]func(*bug){
		"fetcher":  func(b *bug) { b.fetcher = true },
		"answer":   func(b *bug) { b.answer = true },
		"provider": func(b *bug) { b.provider = true },
	} {
		t.Run(name, func(t *testing.T) {
			faulty, notes := &bug{}, &notebook{}
			rotated(t, func(r *rig) {
				arrange(faulty)
				faulty.Provider = r.fake
				r.asks.Providers["core"], r.Fetcher, r.Observer = faulty, bugged{r.asks, faulty}, notes
			}, func(t *testing.T, r *rig) {
				r.fake.SetConnection(airflow.Connection{ID: "trigger", Type: "http"})
				broken := r.volume(t, "broken")
				broken.Pod.ServiceAccount, broken.Pod.Token, broken.Connections = victim, secret.New("n33dle"), named("trigger", "warehouse")
				star := r.volume(t, "star")
				star.Pod.ServiceAccount, star.Connections, star.Variables = victim, Wanted{All: true}, Wanted{All: true}
				require.NoError(t, r.Publish(t.Context(), star))
				require.NoError(t, r.Publish(t.Context(), broken))
				good := strangers(t, r, 20)
				synctest.Wait()
				faulty.on.Store(true)

				// At a rotation, of which a withdrawal is a part.
				r.fake.Deny(victim, variableName("region"))
				r.fake.SetConnection(warehouse("second"))
				time.Sleep(time.Second)
				synctest.Wait()
				for _, v := range good {
					require.Equal(t, secondURI, read(t, v, "connections/warehouse"))
				}
				assert.Equal(t, firstURI, read(t, broken, "connections/warehouse"))
				health := must(r.Health(broken.ID))
				assert.Contains(t, health.Problem, "fault of the driver (")
				assert.Equal(t, uint64(1), must(r.Health(good[0].ID)).Generation-1)
				if name == "answer" {
					assert.NoFileExists(t, broken.TargetPath+"/variables/region", "what was taken away leaves all the same")
					assert.NoFileExists(t, star.TargetPath+"/variables/region", "of which the answer to \"*\" says nothing")
					assert.Equal(t, firstURI, read(t, star, "connections/warehouse"))
				}

				// At a publish.
				other := r.volume(t, "other")
				other.Pod.ServiceAccount, other.Connections = victim, named("trigger")
				other.Variables = Wanted{}
				assert.Equal(t, report.Internal, reasonOf(t, r.Publish(t.Context(), other)))
				require.NoError(t, r.Publish(t.Context(), r.volume(t, "new")))

				synctest.Wait()
				if name != "answer" { // which is only told of one
					assert.Positive(t, notes.panics)
					assert.Contains(t, r.logged(t, "panic", "stack"), "guard_test.go")
				}
				assert.NotContains(t, r.log.String(), "n33dle")

				faulty.on.Store(false)
				time.Sleep(2 * schedule.MaxBackoff)
				synctest.Wait()
				assert.Equal(t, secondURI, read(t, broken, "connections/warehouse"), "it is tried again")
				assert.NotContains(t, must(r.Health(broken.ID)).Problem, "fault")
			})
		})
	}
}

// In telling and in writing: the volume is not under way for ever.
func TestAPanicOnTheWayEndsTheDelivery(t *testing.T) {
	faulty, notes := &bug{observer: true}, &notebook{}
	r := newRig(t)
	r.Observer = grumpy{notes, faulty}
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	faulty.on.Store(true)
	r.fake.SetConnection(warehouse("second"))
	r.look(t)
	assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
	assert.Equal(t, 1, notes.panics)
	faulty.on.Store(false)
	r.fake.SetConnection(warehouse("first"))
	r.look(t)
	assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))

	err := r.guard.Run(subject(v), func() error {
		_, err := r.place([]task{{spec: v}}, content{}, answer{}) // a nil volume
		return err
	})
	assert.Equal(t, report.Internal, reasonOf(t, err))
}

// tripping is a watcher that panics.
type tripping struct {
	*providertest.Fake
	watched chan struct{}
}

func (w tripping) Watch(ctx context.Context, notify func(provider.Change)) error {
	select {
	case <-w.watched:
		return w.Fake.Watch(ctx, notify)
	default:
		close(w.watched)
		panic(fmt.Errorf("about %s", "n33dle"))
	}
}

func TestAPanicOfAWatchEndsItAndNothingElse(t *testing.T) {
	rotated(t, func(r *rig) { r.asks.Providers["core"] = tripping{r.fake, make(chan struct{})} }, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(watchRetry)
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"), "it is polled meanwhile")
		r.fake.SetConnection(warehouse("first"))
		synctest.Wait()
		assert.Equal(t, firstURI, read(t, v, "connections/warehouse"), "it is watched again")
		synctest.Wait()
		assert.NotContains(t, r.log.String(), "n33dle")
		assert.Equal(t, 1, strings.Count(r.log.String(), `"msg":"panic"`))
	})
}

// A Resolver shares calls, and so panics where nobody of delivery can catch it.
func TestAPanicThatAResolverTellsOfEndsItsVolume(t *testing.T) {
	for name, resolve := range map[string]resolverFunc{
		"told": func(context.Context, entry.Reference) (secret.Text, error) {
			return secret.Text{}, &logkey.Panic{About: logkey.OfPanic("about n33dle")}
		},
		"here": func(context.Context, entry.Reference) (secret.Text, error) { panic("about n33dle") },
	} {
		t.Run(name, func(t *testing.T) {
			r, notes := newRig(t), &notebook{}
			r.asks.Resolver, r.Observer = resolve, notes
			r.fake.SetConnection(gcp(`{"key_secret_name":"gcs-key","key_secret_project_id":"p"}`))
			v := r.volume(t, "a")
			v.Connections = named("gcs")
			err := r.Publish(t.Context(), v)
			assert.Equal(t, report.Internal, reasonOf(t, err))
			assert.Equal(t, 1, notes.panics)
			assert.NotContains(t, err.Error()+r.log.String(), "n33dle")
			require.NoError(t, r.Publish(t.Context(), r.volume(t, "b")))
		})
	}
}
