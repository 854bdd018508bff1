package deliver

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// An outage writes nothing as long as readers need not doubt the files. Then each manifest says
// which entries are held, since when and why; and nobody is woken for it.
func TestAStaleVolumeSaysWhichEntriesAreHeld(t *testing.T) {
	away := fmt.Errorf("dialling: %w", provider.ErrUnavailable)
	for name, fault := range map[string]struct {
		spoil func(r *rig)
		why   string
	}{
		"its source is away": {func(r *rig) { r.fake.Fail(away) }, "core cannot be asked now: dialling: unavailable"},
		"the pod is refused": {func(r *rig) { r.fake.Fail(provider.ErrDenied) }, "core refused service account airflow/etl: denied"},
	} {
		t.Run(name, func(t *testing.T) {
			rotated(t, func(r *rig) { r.second() }, func(t *testing.T, r *rig) {
				var volumes []Volume
				for i := range 5 {
					v := r.ofTwo(t, fmt.Sprint("pod-", i))
					require.NoError(t, r.Publish(t.Context(), v))
					volumes = append(volumes, v)
				}
				confirmed := time.Now()
				before := manifests(t, volumes)
				links := dataLinks(t, volumes)
				fault.spoil(r)
				r.fake.Notify(provider.Change{All: true})
				time.Sleep(schedule.MinStaleAfter - time.Minute)
				synctest.Wait()
				for i, text := range manifests(t, volumes) {
					assert.Equal(t, before[i], text)
				}

				time.Sleep(5 * time.Minute)
				synctest.Wait()
				for _, v := range volumes {
					lines := linesOf(t, v)
					for _, id := range []string{"warehouse", "region"} {
						held := lines[id].Held
						require.NotNil(t, held, id)
						assert.Equal(t, layout.Delivered, lines[id].State)
						assert.Equal(t, fault.why, held.Why)
						assert.WithinDuration(t, confirmed, held.Since, time.Second)
					}
					assert.Nil(t, lines["payroll"].Held, "the other source's is fresh")
					assert.Equal(t, firstURI, read(t, v, "connections/warehouse"))
					health := must(r.Health(v.ID))
					assert.Equal(t, 2, health.Held)
					assert.Contains(t, health.Problem, fault.why)
				}
				marked := manifests(t, volumes)
				time.Sleep(time.Hour)
				synctest.Wait()
				assert.Equal(t, marked, manifests(t, volumes), "they say so once")

				r.fake.Fail(nil)
				time.Sleep(2 * schedule.MaxBackoff)
				synctest.Wait()
				for _, v := range volumes {
					for _, line := range linesOf(t, v) {
						assert.Nil(t, line.Held)
					}
					health := must(r.Health(v.ID))
					assert.Zero(t, health.Held)
					assert.Empty(t, health.Problem)
					assert.Equal(t, uint64(1), health.Generation)
				}
				assert.Equal(t, links, dataLinks(t, volumes), "nobody was woken")
				assert.NotContains(t, r.log.String(), "still stand in the files")
			})
		})
	}
}

// A delivery under way knows more than that the source was away.
func TestAStaleVolumeThatIsBeingFetchedIsLeftAlone(t *testing.T) {
	r := newRig(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	one := r.set.find(v.ID).shares[0]
	_, idle := r.set.beginIdle(one)
	require.True(t, idle)
	_, idle = r.set.beginIdle(one)
	assert.False(t, idle)
	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	_, idle = r.set.beginIdle(one)
	assert.False(t, idle)
}

// What the node remembered stays marked as that, while an entry of it is taken away or it turns
// stale.
func TestAStaleVolumeFromMemoryStaysMarked(t *testing.T) {
	graceful(t, func(t *testing.T, r *rig) {
		r.fake.Fail(provider.ErrUnavailable)
		v := r.volume(t, "second")
		require.NoError(t, r.Publish(t.Context(), v))
		time.Sleep(schedule.MinStaleAfter + 2*time.Minute)
		synctest.Wait()
		assert.NotNil(t, linesOf(t, v)["warehouse"].Held)
		assert.Contains(t, read(t, v, layout.ManifestFile), `"offline": true`)
		assert.True(t, must(r.Health(v.ID)).Offline)
	})
}

func manifests(t *testing.T, volumes []Volume) (texts []string) {
	t.Helper()
	for _, v := range volumes {
		texts = append(texts, read(t, v, layout.ManifestFile))
	}
	return texts
}

func dataLinks(t *testing.T, volumes []Volume) (links []string) {
	t.Helper()
	for _, v := range volumes {
		link, err := os.Readlink(filepath.Join(v.TargetPath, layout.DataLink))
		require.NoError(t, err)
		links = append(links, link)
	}
	return links
}
