// Package metric counts what core does, for Prometheus. No label takes the name of a pod, of an
// entry or of a caller. Files are labels: their number is bounded, and theirs are the faults that
// somebody has to mend.
package metric

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/version"
)

// prefix begins the name of every metric of core's.
const prefix = "leoflow_core_"

// Metrics counts. Make it with New.
type Metrics struct {
	registry *prometheus.Registry

	calls                      *prometheus.HistogramVec
	audits                     prometheus.Histogram
	decisions, asked           *prometheus.CounterVec
	watches                    prometheus.Gauge
	auditLost, dropped, panics prometheus.Counter
}

var _ coreserver.Observer = (*Metrics)(nil)

// New returns Metrics that have counted nothing yet.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + "call_duration_seconds",
			Help: "Calls that ended, by method and gRPC code; a watch ends with its stream.", Buckets: buckets()}, []string{"method", "code"}),
		audits: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "audit_write_duration_seconds",
			Help: "How long an answer waited until its decisions were in the audit log.", Buckets: buckets()}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "decisions_total",
			Help: "Decisions on an entry for a caller, by outcome (allowed, missing, denied, invalid, unauthenticated); throttled is a caller that was given nothing, for it has filled its share of the audit log."}, []string{"outcome"}),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "source_calls_total",
			Help: "Calls that core made over the network, by what it asked (kubernetes, metastore) and outcome (ok, refused, throttled, failed)."}, []string{"source", "outcome"}),
		watches: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "watches",
			Help: "Nodes that are told of changes at present."}),
		auditLost: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "audit_failures_total",
			Help: "Answers that were not given because the audit log could not be written."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "entries_dropped_total",
			Help: "Entries that reading the files took away."}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "panics_total",
			Help: "Faults of core itself, each of which ended one call or one look at the files."}),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + "build_info", Help: "1, with the version of core and of Go."}, []string{"version", "goversion"})
	info.WithLabelValues(version.Version, runtime.Version()).Set(1)
	m.registry.MustRegister(m.calls, m.audits, m.decisions, m.asked, m.watches, m.auditLost, m.dropped, m.panics, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, outcome := range []audit.Decision{audit.Allowed, audit.Missing, audit.Denied, audit.Invalid, audit.Unauthenticated, audit.Throttled} {
		m.decisions.WithLabelValues(string(outcome)) // so that the first of them is an increase
	}
	return m
}

// buckets reach from an answer out of memory to the longest that a driver waits.
func buckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
}

// Handler answers scrapes, a few at once.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4})
}

// Called implements coreserver.Observer.
func (m *Metrics) Called(method, code string, took time.Duration) {
	m.calls.WithLabelValues(method, code).Observe(took.Seconds())
}

// Decided implements coreserver.Observer.
func (m *Metrics) Decided(outcome string, count int) {
	m.decisions.WithLabelValues(outcome).Add(float64(count))
}

// Audited implements coreserver.Observer.
func (m *Metrics) Audited(took time.Duration, failed bool) {
	m.audits.Observe(took.Seconds())
	if failed {
		m.auditLost.Inc()
	}
}

// Watching implements coreserver.Observer.
func (m *Metrics) Watching(change int) { m.watches.Add(float64(change)) }

// Dropped implements coreserver.Observer.
func (m *Metrics) Dropped(count int) { m.dropped.Add(float64(count)) }

// Panicked implements coreserver.Observer.
func (m *Metrics) Panicked() { m.panics.Inc() }

// Asked implements coreserver.Observer.
func (m *Metrics) Asked(source, outcome string) { m.asked.WithLabelValues(source, outcome).Inc() }
