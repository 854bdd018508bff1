package metric

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const document = "../../docs/metrics.md"

// oneVolume is a node with a volume that is stale and offline.
type oneVolume struct{}

func (oneVolume) Census() []report.State {
	return []report.State{{Source: "core", Confirmed: time.Now().Add(-time.Hour), Stale: true, Offline: true}}
}
func (oneVolume) Stats(string) (deliver.Usage, error) {
	var usage deliver.Usage
	usage.Bytes.Used = 4096
	return usage, nil
}
func (oneVolume) Unreachable() map[string]string { return map[string]string{"core": "away"} }
func (oneVolume) Memory() budget.State {
	return budget.State{Limit: 5, Volumes: 3, HeldVolumes: 1, Work: 2, ByNamespace: []budget.Part{{Namespace: "airflow", Bytes: 1}}}
}
func (oneVolume) Unclaimed() (int, error) { return 3, nil }

// everything has counted one of each.
func everything() *Metrics {
	m := New()
	m.Driver().Called(csi.Call{Method: "NodePublishVolume", Code: "OK", Kept: true})
	m.Driver().Called(csi.Call{Method: "NodeUnpublishVolume", Code: "OK"})
	m.Delivery().Fetched(report.Fetch{Source: "core", Outcome: "ok", Refusals: map[entry.State]int{entry.Denied: 2}})
	m.Delivery().Resolved("gcp", "missing", time.Second)
	m.Delivery().Delivered(report.Report{Volume: report.Volume{Source: "core"}, Cause: "watch", Changed: true, WasLive: true, Lag: time.Second})
	line := m.Line("core")
	line.Called("Unavailable")
	line.WatchHeard()
	line.WatchInterrupted()
	m.Watch(oneVolume{}, []string{"core"}, func(context.Context) error { return nil })
	return m
}

// TestDocument keeps the documented metrics those of the registry.
func TestDocument(t *testing.T) {
	page := writeDocument(t)
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(page), 0o644))
	}
	written, err := os.ReadFile(document)
	require.NoError(t, err)
	assert.Equal(t, page, string(written), "run: make generate")
}

func writeDocument(t *testing.T) string {
	t.Helper()
	families, err := everything().registry.Gather()
	require.NoError(t, err)
	var page strings.Builder
	page.WriteString(`<!-- Written by go test ./internal/metric -run TestDocument -update, from the registry. -->
# Metrics

The driver serves them at ` + "`/metrics`" + ` on ` + "`--health-address`" + `, together with the metrics of Go and of
the process (` + "`go_…`, `process_…`" + `). No label takes the name of a pod, a volume or an entry: how many
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
	families, err := everything().registry.Gather()
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
