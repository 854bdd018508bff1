// Package metric counts what the driver does, for Prometheus. It alone knows how that is
// done: each room tells an observer of its own what happens there, and Metrics is all of
// these observers.
//
// No label takes the name of a pod, a volume or an entry. What labels take are the
// providers that are configured, and words of a short list.
package metric

import (
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/leoflow/secrets-csi/internal/version"
)

// prefix begins the name of every metric of ours.
const prefix = "leoflow_csi_"

// Metrics counts. Make it with New.
type Metrics struct {
	registry *prometheus.Registry
	// census is what asks how the node is; nil before Watch.
	census *census

	publish, unpublish, delivery, fetch, reference *prometheus.HistogramVec
	refusals, calls, rotations, watchInterruptions *prometheus.CounterVec
	watchUp, watchHeard                            *prometheus.GaugeVec
	lag                                            prometheus.Histogram
	panics                                         prometheus.Counter
}

// New returns Metrics that have counted nothing yet.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		publish: durations("publish_duration_seconds",
			"NodePublishVolume calls of kubelet, republishes included, by gRPC code; kept is a refusal on a live volume that kubelet is not told of.", "code"),
		unpublish: durations("unpublish_duration_seconds",
			"NodeUnpublishVolume calls of kubelet, by gRPC code.", "code"),
		delivery: durations("delivery_duration_seconds",
			"Deliveries of one volume, the fetch included, by cause (publish: a pod waits; watch, retry, poll: it runs) and outcome (delivered, unchanged, held, offline, or why not).", "cause", "outcome"),
		fetch: durations("fetch_duration_seconds",
			"Fetches from a source, each for one volume or for several that are alike, by outcome.", "source", "outcome"),
		reference: durations("reference_duration_seconds",
			"Secrets fetched from a cloud's secret manager for a reference, by outcome.", "cloud", "outcome"),
		refusals: counter("refusals_total",
			"Entries that a source refused, counted at every fetch, by reason (missing, denied, invalid; unavailable is what it gives this pod nothing of for now).", "source", "reason"),
		calls: counter("source_calls_total",
			"Calls made to a source over the network, by gRPC code; what stores answer is named likewise, and OutOfRange is more than there was memory for.", "source", "code"),
		rotations: counter("rotations_total",
			"Swaps of a running pod's files, by what led to them (watch, poll, retry).", "source", "cause"),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "panics_total",
			Help: "Faults of the driver itself, each of which ended the delivery of one volume or one watch."}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "rotation_lag_seconds",
			Help: "Time from a watch's notice of a change to the swap that shows it to a pod.", Buckets: durationBuckets()}),
		watchUp:            gauge("watch_up", "1 while the source tells this node of changes, 0 while it does not and is polled.", "source"),
		watchHeard:         gauge("watch_heard_timestamp_seconds", "When the source's watch last said something, heartbeats included; 0 for never.", "source"),
		watchInterruptions: counter("watch_interruptions_total", "Streams of the source's watch that ended or could not be opened.", "source"),
	}
	m.registry.MustRegister(m.publish, m.unpublish, m.delivery, m.fetch, m.reference, m.refusals, m.calls, m.rotations,
		m.lag, m.panics, m.watchUp, m.watchHeard, m.watchInterruptions, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers scrapes, a few at once.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.GathererFunc(m.gather), promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4})
}

// gather asks how the node is before anything is read.
func (m *Metrics) gather() ([]*dto.MetricFamily, error) {
	if m.census != nil {
		m.census.look()
	}
	return m.registry.Gather()
}

func buildInfo() prometheus.Collector {
	info := gauge("build_info", "1, with the version of the driver and of Go.", "version", "goversion")
	info.WithLabelValues(version.Version, runtime.Version()).Set(1)
	return info
}

func durations(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: durationBuckets()}, labels)
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, labels)
}

// durationBuckets reach from a publish on a quiet node to the longest that kubelet waits.
func durationBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 120}
}
