package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/source/core"
)

// Driver is the observer of internal/csi.
func (m *Metrics) Driver() csi.Observer { return calls{m} }

// Delivery is the observer of internal/deliver.
func (m *Metrics) Delivery() report.Observer { return deliveries{m} }

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

type calls struct{ *Metrics }

func (c calls) Called(call csi.Call) {
	code := call.Code
	if call.Kept {
		code = "kept"
	}
	switch call.Method {
	case "NodePublishVolume":
		c.publish.WithLabelValues(code).Observe(call.Took.Seconds())
	case "NodeUnpublishVolume":
		c.unpublish.WithLabelValues(code).Observe(call.Took.Seconds())
	}
}

type deliveries struct{ *Metrics }

func (d deliveries) Fetched(fetch report.Fetch) {
	d.fetch.WithLabelValues(fetch.Source, fetch.Outcome).Observe(fetch.Took.Seconds())
	for reason, count := range fetch.Refusals {
		d.refusals.WithLabelValues(fetch.Source, string(reason)).Add(float64(count))
	}
}

func (d deliveries) Resolved(cloud, outcome string, took time.Duration) {
	d.reference.WithLabelValues(cloud, outcome).Observe(took.Seconds())
}

func (d deliveries) Delivered(one report.Report) {
	d.delivery.WithLabelValues(one.Cause, one.Outcome()).Observe(one.Took.Seconds())
	if one.Rotated() {
		d.rotations.WithLabelValues(one.Volume.Source, one.Cause).Inc()
	}
	if one.Lag > 0 {
		d.lag.Observe(one.Lag.Seconds())
	}
}

func (d deliveries) Panicked() { d.panics.Inc() }

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
