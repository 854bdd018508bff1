package metric

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/testgolden"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

const document = "../../docs/metrics.md"

// oneVolume is a node with a volume that is stale and offline.
func oneVolume() report.Node {
	states := []report.State{{Source: "core", Confirmed: time.Now().Add(-time.Hour), Stale: true, Offline: true}}
	source := report.StateOf("core", states, time.Now())
	source.IsAway = true
	return report.Node{
		Sources: []report.SourceState{source}, Unclaimed: 3, VolumeBytes: 4096,
		Limit: 5, ForVolumes: 3, HeldVolumes: 1, ForWork: 2, Largest: 1,
	}
}

// everything has counted one of each.
func everything() *Metrics {
	m := New()
	m.Called(report.Call{Method: "NodePublishVolume", Code: "kept"})
	m.Called(report.Call{Method: "NodeUnpublishVolume", Code: "OK"})
	m.Fetcher().Fetched(report.Fetch{Source: "core", Outcome: "ok", Refusals: map[entry.State]int{entry.Denied: 2}})
	m.Fetcher().Resolved("gcp", "missing", time.Second)
	m.Delivered(report.Delivery{Source: "core", Cause: "watch", Outcome: "delivered", Rotated: true, Lag: time.Second})
	line := m.Line("core")
	line.Called("Unavailable")
	line.WatchHeard()
	line.WatchInterrupted()
	m.Watch(func(context.Context) (report.Node, error) { return oneVolume(), nil })
	m.Certificate("")
	return m
}

// TestDocument keeps the documented metrics those of the registry.
func TestDocument(t *testing.T) {
	testgolden.File(t, document, writeDocument(t), "make generate")
}

func writeDocument(t *testing.T) string {
	t.Helper()
	families, err := everything().gather()
	require.NoError(t, err)
	var page strings.Builder
	page.WriteString(`<!-- Written by go test ./internal/metric -run TestDocument -update, from the registry. -->
# Metrics

The fetcher serves them at ` + "`/metrics`" + ` on ` + "`--health-address`" + `, the driver's too, together with the metrics of Go and of
its own process (` + "`go_…`, `process_…`" + `). No label takes the name of a pod, a volume or an entry: how many
series there are depends on the sources that are configured, and on nothing else. What a
driver does not know yet after a restart, kubelet tells it within minutes, volume by volume.
What to do when one looks wrong: [runbook.md](runbook.md).

| metric | type | labels | what it tells |
|---|---|---|---|
`)
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), prefix) {
			continue
		}
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+label.GetName()+"`")
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", family.GetName(),
			strings.ToLower(family.GetType().String()), strings.Join(labels, ", "), family.GetHelp())
	}
	return page.String()
}

// TestDocumentHasEveryMetric compares with what is described, which series have no part in.
func TestDocumentHasEveryMetric(t *testing.T) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		everything().registry.Describe(descriptions)
	}()
	page := writeDocument(t)
	count := 0
	for description := range descriptions {
		_, name, _ := strings.Cut(description.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		if strings.HasPrefix(name, prefix) {
			count++
			assert.Contains(t, page, "`"+name+"`")
		}
	}
	assert.Greater(t, count, 15)
}

func TestANodeIsCountedAtEveryScrape(t *testing.T) {
	families, err := everything().gather()
	require.NoError(t, err)
	value := func(name string) float64 {
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == prefix+name })
		require.GreaterOrEqual(t, i, 0, name)
		metric := families[i].GetMetric()[0]
		if metric.GetHistogram() != nil {
			return float64(metric.GetHistogram().GetBucket()[6].GetCumulativeCount())
		}
		return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
	}
	for name, want := range map[string]float64{
		"volumes": 1, "volumes_stale": 1, "volumes_offline": 1, "source_up": 0, "volumes_unclaimed": 3, "volume_bytes": 4096, "ready": 1,
		"memory_limit_bytes": 5, "memory_largest_namespace_bytes": 1,
		"generation_age_seconds": 0, "refusals_total": 2, "rotations_total": 1, "source_calls_total": 1,
		"watch_up": 0, "watch_interruptions_total": 1,
	} {
		assert.Equal(t, want, value(name), name)
	}
	assert.InDelta(t, time.Hour.Seconds(), value("oldest_generation_age_seconds"), 10)
}

// Of a driver that says nothing it is known that it serves nobody.
func TestADriverThatIsNotThereIsNotReady(t *testing.T) {
	m := New()
	m.Watch(func(context.Context) (report.Node, error) { return report.Node{}, errors.New("not there") })
	families, err := m.gather()
	require.NoError(t, err)
	for _, family := range families {
		assert.NotEqual(t, prefix+"volumes", family.GetName())
		if family.GetName() == prefix+"ready" {
			assert.Zero(t, family.GetMetric()[0].GetGauge().GetValue())
		}
	}
}
