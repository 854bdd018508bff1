package deliver

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

const grace = time.Hour

// graceful is a rig with an offline grace that has served one pod.
func graceful(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	rotated(t, func(r *rig) { r.remember(grace) }, func(t *testing.T, r *rig) {
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "first")))
		test(t, r)
	})
}

func TestANewPodIsServedFromMemoryWhileTheProviderIsAway(t *testing.T) {
	graceful(t, func(t *testing.T, r *rig) {
		given := time.Now()
		time.Sleep(5 * time.Minute)
		r.fake.Fail(provider.ErrUnavailable)
		v := r.volume(t, "second")
		require.NoError(t, r.Publish(t.Context(), v))

		assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
		assert.Equal(t, "north", read(t, v, "variables/region"))
		shown, err := mount.Current(v.TargetPath)
		require.NoError(t, err)
		assert.True(t, shown.Manifest.Offline)
		assert.WithinDuration(t, given, shown.Manifest.Fetched, time.Minute, "not when the pod was served")
		assert.WithinDuration(t, given, shown.Confirmed, time.Minute)
		health := must(r.Health(v.ID))
		assert.True(t, health.Offline)
		assert.Contains(t, health.Problem, "the files are what this node was given for a pod like this one")

		r.fake.Fail(nil)
		time.Sleep(2*schedule.MaxBackoff + schedule.ResyncSpread)
		synctest.Wait()
		shown, err = mount.Current(v.TargetPath)
		require.NoError(t, err)
		assert.False(t, shown.Manifest.Offline)
		assert.Empty(t, must(r.Health(v.ID)).Problem)
	})
}

// spy is a Fetcher that tells what it is asked.
type spy struct {
	seam.Fetcher
	asked func(seam.Work)
}

func (s spy) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	s.asked(work)
	return s.Fetcher.Fetch(ctx, work, taker)
}

// What is remembered takes of the node's memory before it is asked for, as any answer does, and more is
// reserved for one that outgrows it.
func TestMemoryIsReservedBeforeItIsRecalled(t *testing.T) {
	graceful(t, func(t *testing.T, r *rig) {
		large := r.volume(t, "large")
		large.Variables = named("large")
		r.fake.SetVariable("large", strings.Repeat("x", 2*smallAnswer))
		require.NoError(t, r.Publish(t.Context(), large))
		r.fake.Fail(provider.ErrUnavailable)
		r = r.restarted() // and so does not know how large it was
		var sizes []int64
		r.Fetcher = spy{r.Fetcher, func(work seam.Work) {
			sizes = append(sizes, work.MaxBytes)
			assert.GreaterOrEqual(t, r.Budget.State().HeldWork, budget.Weight(work.MaxBytes))
		}}
		like := large
		like.ID, like.TargetPath = "csi-like", r.volume(t, "like").TargetPath
		require.NoError(t, r.Publish(t.Context(), like))
		assert.Len(t, read(t, like, "variables/large"), 2*smallAnswer)
		assert.Equal(t, []int64{smallAnswer, smallAnswer * growth}, sizes)
	})
}

func TestMemoryServesNobodyElse(t *testing.T) {
	for name, change := range map[string]func(*rig, *Volume){
		"another service account": func(_ *rig, v *Volume) { v.Pod.ServiceAccount = "report" },
		"another namespace":       func(_ *rig, v *Volume) { v.Pod.Namespace = "elsewhere" },
		"another's tokens": func(_ *rig, v *Volume) {
			v.Pod.Token = providertest.Token(v.Pod.Namespace, "report", "of-another")
		},
		"another request": func(_ *rig, v *Volume) { v.Variables = Wanted{} },
		"after the grace": func(r *rig, _ *Volume) {
			r.fake.Fail(provider.ErrUnavailable)
			time.Sleep(grace)
		},
		"after a refusal": func(r *rig, _ *Volume) {
			r.fake.Fail(provider.ErrDenied)
			r.fake.Notify(provider.Change{All: true})
			time.Sleep(schedule.ResyncSpread)
			synctest.Wait()
		},
		"with the grace off": func(r *rig, _ *Volume) { r.remember(0) },
	} {
		t.Run(name, func(t *testing.T) {
			graceful(t, func(t *testing.T, r *rig) {
				v := r.volume(t, "second")
				change(r, &v)
				r.fake.Fail(provider.ErrUnavailable)
				time.Sleep(time.Second)
				assert.Equal(t, report.Unavailable, reasonOf(t, r.Publish(t.Context(), v)))
			})
		})
	}
}

// A pod that only says that it is of a service account neither fills that one's memory nor
// ends it.
func TestNobodyElseFillsOrEndsAMemory(t *testing.T) {
	for name, trouble := range map[string]func(*rig){
		"fills": func(r *rig) { r.fake.SetConnection(warehouse("second")) },
		"ends":  func(r *rig) { r.fake.Fail(provider.ErrDenied) },
	} {
		t.Run(name, func(t *testing.T) {
			graceful(t, func(t *testing.T, r *rig) {
				require.NoError(t, r.Unpublish(t.Context(), "csi-first", r.volume(t, "first").TargetPath))
				trouble(r)
				thief := r.volume(t, "thief")
				thief.Pod.Token = providertest.Token("airflow", "report", "of-another")
				_ = r.Publish(t.Context(), thief)

				r.fake.Fail(provider.ErrUnavailable)
				time.Sleep(time.Second)
				v := r.volume(t, "second")
				require.NoError(t, r.Publish(t.Context(), v))
				assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
			})
		})
	}
}
