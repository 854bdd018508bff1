package metric

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/store"
	"github.com/leoflow/secrets-csi/internal/testgolden"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

const document = "../../../docs/core-metrics.md"

// oneCore has a file in force and one that is not.
type oneCore struct{}

func (oneCore) Files() []store.Status {
	return []store.Status{
		{File: "connections.json", ReadAt: time.Unix(100, 0)},
		{File: "database-url", Kind: store.KindMetastore, ReadAt: time.Unix(150, 0)},
		{File: "rules/payments.yaml", Team: "payments", Fault: "is not YAML", Since: time.Unix(200, 0)},
	}
}
func (oneCore) Entries() map[entry.Kind]int { return map[entry.Kind]int{entry.Connection: 3} }
func (oneCore) Expiry() time.Time           { return time.Unix(300, 0) }

// everything has counted one of each.
func everything() *Metrics {
	m := New()
	m.Called("Fetch", "OK", time.Second)
	m.Decided("allowed", 3)
	m.Audited(time.Millisecond, true)
	m.Watching(1)
	m.Dropped(7)
	m.Panicked()
	m.Asked("kubernetes", "ok")
	m.Watch(oneCore{})
	return m
}

func gather(t *testing.T) []*dto.MetricFamily {
	families, err := everything().registry.Gather()
	require.NoError(t, err)
	return families
}

// TestDocument keeps the documented metrics those of the registry.
func TestDocument(t *testing.T) {
	var page strings.Builder
	page.WriteString(`<!-- Written by go test ./internal/coreserver/metric -run TestDocument -update, from the registry. -->
# Metrics of core

The bundled core serves them at ` + "`/metrics`" + ` on ` + "`--metrics-address`" + `, together with the metrics of Go and of
the process (` + "`go_…`, `process_…`" + `). No label takes the name of a pod, a caller or an entry; files and
teams are labels, at most 4096 of them. ` + "`/healthz`" + ` on the same port says what is not in force, and
since when. What to do when one looks wrong: [runbook.md](runbook.md).

| metric | type | labels | what it tells |
|---|---|---|---|
`)
	for _, family := range gather(t) {
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
	testgolden.File(t, document, page.String(), "make generate")
	for _, name := range described() {
		assert.Contains(t, page.String(), "`"+name+"`")
	}
}

// described are the metrics that the registry may have, which series have no part in.
func described() (names []string) {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		everything().registry.Describe(descriptions)
	}()
	for description := range descriptions {
		_, name, _ := strings.Cut(description.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

func TestAFileThatIsNotInForceIsTold(t *testing.T) {
	values := map[string]float64{}
	for _, family := range gather(t) {
		for _, metric := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), prefix)
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			values[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"files_not_in_force": 1,
		"file_not_in_force_since_seconds rules/payments.yaml payments": 200,
		"file_not_in_force_since_seconds connections.json ":            0,
		"file_read_timestamp_seconds connections.json ":                100,
		"file_read_timestamp_seconds rules/payments.yaml payments":     0,
		"metastore_read_timestamp_seconds":                             150,
		"entries connection":                                           3,
		"entries_dropped_total":                                        7,
		"certificate_expiry_timestamp_seconds":                         300,
		"decisions_total allowed":                                      3,
		"audit_failures_total":                                         1,
		"watches":                                                      1,
		"panics_total":                                                 1,
		"source_calls_total ok kubernetes":                             1,
	} {
		got, found := values[name]
		assert.True(t, found, name)
		assert.Equal(t, want, got, name)
	}
}
