package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/source/core"
)

// Fetcher is the observer of internal/fetch.
func (m *Metrics) Fetcher() report.Observer { return fetches{m} }

// Line is the observer of a provider that is asked over the network, which name is of.
func (m *Metrics) Line(name string) core.Observer {
	return line{
		calls: m.calls, up: m.watchUp.WithLabelValues(name), heard: m.watchHeard.WithLabelValues(name),
		interruptions: m.watchInterruptions.WithLabelValues(name), name: name,
	}
}

// Calls counts those of a source that is asked over the network and tells of no changes.
func (m *Metrics) Calls(name string) func(code string) {
	return func(code string) { m.calls.WithLabelValues(name, code).Inc() }
}

// Called counts a call of kubelet's.
func (m *Metrics) Called(call report.Call) {
	switch call.Method {
	case "NodePublishVolume":
		m.publish.WithLabelValues(call.Code).Observe(call.Took.Seconds())
	case "NodeUnpublishVolume":
		m.unpublish.WithLabelValues(call.Code).Observe(call.Took.Seconds())
	}
}

// Delivered counts a delivery.
func (m *Metrics) Delivered(one report.Delivery) {
	m.delivery.WithLabelValues(one.Cause, one.Outcome).Observe(one.Took.Seconds())
	if one.Rotated {
		m.rotations.WithLabelValues(one.Source, one.Cause).Inc()
	}
	if one.Lag > 0 {
		m.lag.Observe(one.Lag.Seconds())
	}
}

// Panicked counts a fault of either program.
func (m *Metrics) Panicked() { m.panics.Inc() }

type fetches struct{ *Metrics }

func (f fetches) Fetched(fetch report.Fetch) {
	f.fetch.WithLabelValues(fetch.Source, fetch.Outcome).Observe(fetch.Took.Seconds())
	for reason, count := range fetch.Refusals {
		f.refusals.WithLabelValues(fetch.Source, string(reason)).Add(float64(count))
	}
}

func (f fetches) Resolved(cloud, outcome string, took time.Duration) {
	f.reference.WithLabelValues(cloud, outcome).Observe(took.Seconds())
}

// Delivered implements report.Observer. The fetcher delivers nothing.
func (fetches) Delivered(report.Report) {}

type line struct {
	calls         *prometheus.CounterVec
	up, heard     prometheus.Gauge
	interruptions prometheus.Counter
	name          string
}

func (c line) Called(code string) { c.calls.WithLabelValues(c.name, code).Inc() }

func (c line) WatchHeard() {
	c.up.Set(1)
	c.heard.SetToCurrentTime()
}

func (c line) WatchInterrupted() {
	c.up.Set(0)
	c.interruptions.Inc()
}
