package deliver

import (
	"encoding/json"
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
)

// notebook is an Observer that keeps what it is told.
type notebook struct {
	mu         sync.Mutex
	fetches    []report.Fetch
	deliveries []report.Report
	panics     int
}

func (n *notebook) Fetched(fetch report.Fetch) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fetches = append(n.fetches, fetch)
}

func (*notebook) Resolved(string, string, time.Duration) {}

func (n *notebook) Panicked() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.panics++
}

func (n *notebook) Delivered(delivery report.Report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deliveries = append(n.deliveries, delivery)
}

// last forgets what was before.
func (n *notebook) last(t *testing.T) (report.Fetch, report.Report) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	require.NotEmpty(t, n.fetches)
	require.NotEmpty(t, n.deliveries)
	return n.fetches[len(n.fetches)-1], n.deliveries[len(n.deliveries)-1]
}

func TestTheObserverHearsHowDeliveriesEnd(t *testing.T) {
	notes := &notebook{}
	rotated(t, func(r *rig) { r.Observer = notes }, func(t *testing.T, r *rig) {
		v := r.volume(t, "pod")
		v.Connections = named("warehouse")
		v.Connections.Names = append(v.Connections.Names, WantedName{ID: "ghost", Optional: true})
		require.NoError(t, r.Publish(t.Context(), v))
		fetch, delivery := notes.last(t)
		assert.Equal(t, "ok", fetch.Outcome)
		assert.Equal(t, map[entry.State]int{entry.Missing: 1}, fetch.Refusals)
		assert.Equal(t, []string{"core", "publish", "delivered"}, []string{delivery.Volume.Source, delivery.Cause, delivery.Outcome()})
		assert.False(t, delivery.Rotated())
		assert.Zero(t, delivery.Lag)

		r.fake.SetConnection(warehouse("second"))
		time.Sleep(time.Second)
		synctest.Wait()
		_, delivery = notes.last(t)
		assert.Equal(t, "watch", delivery.Cause)
		assert.Equal(t, "delivered", delivery.Outcome())
		assert.True(t, delivery.Rotated())

		r.fake.Fail(provider.ErrUnavailable)
		time.Sleep(schedule.SafetyPoll + time.Minute)
		synctest.Wait()
		fetch, delivery = notes.last(t)
		assert.Equal(t, "unavailable", fetch.Outcome)
		assert.Equal(t, "retry", delivery.Cause)
		assert.Equal(t, "unavailable", delivery.Outcome())
		assert.False(t, delivery.Rotated())
		assert.False(t, r.Census()[0].Stale)
		time.Sleep(schedule.MinStaleAfter)
		states := r.Census()
		require.Len(t, states, 1)
		assert.True(t, states[0].Stale)
		assert.Equal(t, "core", states[0].Source)
		assert.Equal(t, v.TargetPath, states[0].TargetPath)
	})
}

func TestEachDeliveryIsOneLineForTheAudit(t *testing.T) {
	r := newRig(t)
	r.fake.SetConnection(warehouse("needle"))
	v := r.volume(t, "pod")
	v.Connections = named("warehouse")
	v.Connections.Names = append(v.Connections.Names, WantedName{ID: "ghost", Optional: true})
	require.NoError(t, r.Publish(t.Context(), v))
	refused := r.volume(t, "nosy")
	refused.Connections = named("ghost")
	require.Error(t, r.Publish(t.Context(), refused))

	var lines []map[string]any
	for line := range strings.Lines(r.log.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields["entries"] != nil {
			lines = append(lines, fields)
		}
	}
	require.Len(t, lines, 2)
	assert.Equal(t, "delivered", lines[0]["msg"])
	assert.Equal(t, "delivered", lines[0]["outcome"])
	assert.Equal(t, "publish", lines[0]["cause"])
	assert.Equal(t, "pod", lines[0]["pod"])
	assert.NotEmpty(t, lines[0]["service_account"])
	entries := lines[0]["entries"].([]any)
	assert.Regexp(t, `^connection/warehouse@.+`, entries[1])
	assert.Equal(t, "connection/ghost@missing", entries[0])
	assert.Equal(t, "not delivered", lines[1]["msg"])
	assert.Equal(t, "missing", lines[1]["outcome"])
	assert.Contains(t, lines[1]["entries"], "connection/ghost")
	assert.NotContains(t, r.log.String(), "needle")
}
