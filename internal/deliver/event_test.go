package deliver

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// diary is a Recorder that keeps what it was told.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) Record(volume report.Volume, reason report.EventReason, message string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, volume.Pod+" "+string(reason)+": "+message)
}

// read returns what was told since it was last read.
func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

func keptDiary(t *testing.T) (*rig, *diary) {
	t.Helper()
	r, told := newRig(t), &diary{}
	r.Recorder, r.asks.Resolver = told, &vault{}
	return r, told
}

func TestNothingIsToldOfWhatGoesWell(t *testing.T) {
	r, told := keptDiary(t)
	v := r.volume(t, "a")
	v.Connections.Names = append(v.Connections.Names, WantedName{ID: "absent", Optional: true})
	require.NoError(t, r.Publish(t.Context(), v))
	r.fake.SetConnection(warehouse("second"))
	r.look(t)
	assert.Empty(t, told.read())
}

func TestAPodIsToldWhyItDoesNotStart(t *testing.T) {
	for reason, spoil := range map[report.EventReason]func(*rig, *Volume){
		report.EventEntryMissing: func(_ *rig, v *Volume) { v.Connections = named("absent") },
		report.EventEntryDenied:  func(r *rig, _ *Volume) { r.fake.Deny("etl", entry.Name{Kind: entry.Connection, ID: "warehouse"}) },
		report.EventEntryInvalid: func(r *rig, _ *Volume) {
			r.fake.Break(entry.Name{Kind: entry.Connection, ID: "warehouse"}, "why")
		},
		report.EventTokenRefused:      func(r *rig, v *Volume) { r.fake.RefuseToken(v.Pod.Token) },
		report.EventSourceUnavailable: func(r *rig, _ *Volume) { r.fake.Fail(provider.ErrUnavailable) },
		report.EventVolumeFailed:      func(r *rig, _ *Volume) { r.fake.SetVariable("region", strings.Repeat("x", 2*megabyte)) },
		report.EventReferenceUnresolved: func(r *rig, v *Volume) {
			r.fake.SetConnection(gcp(`{"key_secret_name":"nowhere","key_secret_project_id":"p"}`))
			v.Connections = named("gcs")
		},
	} {
		t.Run(string(reason), func(t *testing.T) {
			r, told := keptDiary(t)
			v := r.volume(t, "a")
			spoil(r, &v)
			err := r.Publish(t.Context(), v)
			require.Error(t, err)
			assert.Equal(t, []string{"a " + string(reason) + ": " + err.Error()}, told.read())
		})
	}
}

func TestAPodThatRunsIsToldOnceOfEachFault(t *testing.T) {
	r, told := keptDiary(t)
	v := r.volume(t, "a")
	require.NoError(t, r.Publish(t.Context(), v))
	entry := entry.Name{Kind: entry.Connection, ID: "warehouse"}

	r.fake.Deny(v.Pod.ServiceAccount, entry)
	r.look(t)
	r.look(t)
	withdrawn := told.read()
	require.Len(t, withdrawn, 1)
	assert.Contains(t, withdrawn[0], "a EntryWithdrawn: withdrawn: connection \"warehouse\" is denied to service account ")

	r.fake.Allow(v.Pod.ServiceAccount, entry)
	r.look(t)
	r.fake.Break(entry, "why")
	r.look(t)
	r.look(t)
	invalid := told.read()
	require.Len(t, invalid, 1)
	assert.Contains(t, invalid[0], "a EntryInvalid: ")
}

func TestAPodThatGoesIsToldNothing(t *testing.T) {
	r, told := keptDiary(t)
	release := r.fake.Block()
	v := r.volume(t, "a")
	failed := make(chan error, 1)
	go func() { failed <- r.Publish(t.Context(), v) }()
	require.Eventually(t, func() bool { return len(r.fake.Calls()) > 0 }, testwait.Limit, time.Millisecond)
	require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	release()
	assert.Equal(t, report.Busy, reasonOf(t, testwait.Receive(t, failed)))
	assert.Empty(t, told.read())
}

func TestAPodIsToldOfAnOptionalEntryThatIsBroken(t *testing.T) {
	r, told := keptDiary(t)
	r.fake.SetConnection(gcp(`{"key_secret_name":"nowhere","key_secret_project_id":"p"}`))
	v := r.volume(t, "a")
	v.Connections = named("gcs")
	v.Connections.Names[0].Optional = true
	require.NoError(t, r.Publish(t.Context(), v))
	lines := told.read()
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], `a ReferenceUnresolved: connection "gcs": `)
}

func TestAStoredKeyIsToldOncePerVersion(t *testing.T) {
	r, told := keptDiary(t)
	const key = "n33dle-key"
	store := func(project string) {
		text, err := (&vault{key: key}).Resolve(t.Context(), provider.Identity{}, entry.Reference{Name: "gcs-key"})
		require.NoError(t, err)
		connection := gcp(`{"project":"` + project + `","keyfile_dict":` + text.Reveal() + `}`)
		r.fake.SetConnection(connection)
	}
	store("one")
	a, b := r.volume(t, "a"), r.volume(t, "b")
	elsewhere := r.volume(t, "c")
	elsewhere.Pod.Namespace = "elsewhere"
	for _, v := range []*Volume{&a, &b, &elsewhere} {
		v.Connections = named("gcs")
		require.NoError(t, r.Publish(t.Context(), *v))
	}
	lines := told.read()
	require.Len(t, lines, 2, "the first pod of each namespace")
	assert.Contains(t, lines[0], `a KeyStoredInCore: connection "gcs": `)
	assert.Contains(t, lines[1], `c KeyStoredInCore: connection "gcs": `)
	assert.Equal(t, 1, strings.Count(r.log.String(), `"code":"key-stored-in-core"`))

	store("two")
	r.look(t)
	assert.Len(t, told.read(), 2)
	assert.Equal(t, 2, strings.Count(r.log.String(), `"code":"key-stored-in-core"`), "another version")
	assert.NotContains(t, r.log.String()+strings.Join(lines, "\n"), key)
}

func TestPodsAreToldOnceThatTheirFilesAreStale(t *testing.T) {
	told := &diary{}
	rotated(t, func(r *rig) { r.Recorder = told }, func(t *testing.T, r *rig) {
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "a")))
		r.fake.Fail(provider.ErrUnavailable)
		r.fake.Notify(provider.Change{All: true})
		time.Sleep(schedule.MinStaleAfter - time.Minute)
		synctest.Wait()
		assert.Empty(t, told.read(), "an outage that passes is nobody's business")

		time.Sleep(time.Hour)
		synctest.Wait()
		lines := told.read()
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], "a VolumeStale: core cannot be asked now: ")
		assert.Contains(t, lines[0], "; the files were last confirmed 1")

		r.fake.Fail(nil)
		time.Sleep(5 * time.Minute)
		r.fake.Fail(provider.ErrUnavailable)
		r.fake.Notify(provider.Change{All: true})
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, told.read(), 1, "another outage")
	})
}

func TestAPodIsToldThatItIsServedFromMemory(t *testing.T) {
	told := &diary{}
	graceful(t, func(t *testing.T, r *rig) {
		r.Recorder = told
		r.fake.Fail(provider.ErrUnavailable)
		require.NoError(t, r.Publish(t.Context(), r.volume(t, "second")))
		lines := told.read()
		require.Len(t, lines, 1)
		assert.Contains(t, lines[0], "second ServedOffline: ")
	})
}
