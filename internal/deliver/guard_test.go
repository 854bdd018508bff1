package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/deliver/render"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// bug makes a part of the driver panic over what one service account has, once it is on.
type bug struct {
	provider.Provider
	on                         atomic.Bool
	policy, provider, observer bool
}

const victim = "account-victim"

func (b *bug) apply(e *entry.Entry) {
	if b.on.Load() && b.policy && e.ID == "trigger" {
		panic("about n33dle")
	}
}

// render trips over the connection "trigger".
func (b *bug) render(format render.Format, entries []entry.Entry, first map[string]string) {
	for _, e := range entries {
		if b.on.Load() && e.ID == "trigger" {
			panic(e)
		}
	}
	render.Render(format, entries, first)
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
	for name, arrange := range map[string]func(*rig, *bug){
		"policy":   func(_ *rig, b *bug) { b.policy = true },
		"renderer": func(r *rig, b *bug) { r.render = b.render },
		"provider": func(_ *rig, b *bug) { b.provider = true },
	} {
		t.Run(name, func(t *testing.T) {
			faulty, notes := &bug{}, &notebook{}
			rotated(t, func(r *rig) {
				arrange(r, faulty)
				faulty.Provider = r.fake
				r.Providers["core"], r.decider.apply, r.Observer = faulty, faulty.apply, notes
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
				if name != "provider" {
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
				assert.Positive(t, notes.panics)
				assert.Contains(t, r.logged(t, "panic", "stack"), "guard_test.go")
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

	err := r.guard.run(v, func() error {
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
	rotated(t, func(r *rig) { r.Providers["core"] = tripping{r.fake, make(chan struct{})} }, func(t *testing.T, r *rig) {
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
			r.Resolver, r.Observer = resolve, notes
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
