package metric

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leoflow/secrets-csi/internal/report"
)

// Watch has the node counted at every scrape: its live volumes by source, and whether it is ready, which
// kubelet's registration is the greater part of. state asks the driver.
func (m *Metrics) Watch(state func(context.Context) (report.Node, error)) {
	m.census = &census{state: state}
	m.registry.MustRegister(m.census)
}

type census struct {
	state func(context.Context) (report.Node, error)
	// latest is what the driver said last.
	latest atomic.Pointer[said]
}

// said is how the node is, or why that is not known.
type said struct {
	report.Node
	err error
}

// look asks the driver, which first tells what it did: what is counted of that is read after.
func (c *census) look() {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	node, err := c.state(ctx)
	c.latest.Store(&said{node, err})
}

// readyTimeout bounds what a scrape waits for an answer of the CSI socket.
const readyTimeout = 3 * time.Second

var (
	volumesDesc   = prometheus.NewDesc(prefix+"volumes", "Live volumes that show files; one with entries of several sources counts for each.", []string{"source"}, nil)
	staleDesc     = prometheus.NewDesc(prefix+"volumes_stale", "Live volumes whose files have not been confirmed for so long that readers should doubt them.", []string{"source"}, nil)
	offlineDesc   = prometheus.NewDesc(prefix+"volumes_offline", "Live volumes that were filled from this node's memory while the source could not be asked.", []string{"source"}, nil)
	heldDesc      = prometheus.NewDesc(prefix+"volumes_held", "Live volumes with an entry that cannot be had at present and stands as it was delivered before.", []string{"source"}, nil)
	oldestDesc    = prometheus.NewDesc(prefix+"oldest_generation_age_seconds", "How long ago the source confirmed the files of the volume that waits longest; 0 without volumes.", []string{"source"}, nil)
	agesDesc      = prometheus.NewDesc(prefix+"generation_age_seconds", "How long ago the files of each live volume were confirmed, as of this scrape.", []string{"source"}, nil)
	upDesc        = prometheus.NewDesc(prefix+"source_up", "0 while the source cannot be asked, as far as this node knows: it asks again at least once a minute while it has live volumes, and forgets after three minutes without.", []string{"source"}, nil)
	unclaimedDesc = prometheus.NewDesc(prefix+"volumes_unclaimed", "Volumes of pods that ran before the driver started, and that kubelet has not published again yet, which it does within 90 s. Their files are kept as they are until then.", nil, nil)
	bytesDesc     = prometheus.NewDesc(prefix+"volume_bytes", "Memory that the live volumes' tmpfs take.", nil, nil)
	limitDesc     = prometheus.NewDesc(prefix+"memory_limit_bytes", "What the driver's container may take, with the volumes of all pods.", nil, nil)
	roomDesc      = prometheus.NewDesc(prefix+"memory_room_bytes", "The parts of that which volumes share, and deliveries under way; a quarter of each is for namespaces that hold little.", []string{"part"}, nil)
	takenDesc     = prometheus.NewDesc(prefix+"memory_taken_bytes", "What is taken of each part, with what an earlier driver left.", []string{"part"}, nil)
	holderDesc    = prometheus.NewDesc(prefix+"memory_largest_namespace_bytes", "What the volumes of the namespace that has most are reckoned at. The log says which, where a volume is refused for want of memory.", nil, nil)
	readyDesc     = prometheus.NewDesc(prefix+"ready", "1 while kubelet can call the driver and has registered it, as /readyz says.", nil, nil)
)

// Describe implements prometheus.Collector.
func (*census) Describe(into chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{volumesDesc, staleDesc, offlineDesc, heldDesc, oldestDesc, agesDesc, upDesc, unclaimedDesc, bytesDesc, limitDesc, roomDesc, takenDesc, holderDesc, readyDesc} {
		into <- desc
	}
}

// Collect implements prometheus.Collector. Of a driver that does not say how it is, only that is
// known.
func (c *census) Collect(into chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		into <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	node := c.latest.Load()
	gauge(readyDesc, oneIf(node != nil && node.err == nil && node.NotReady == ""))
	if node == nil || node.err != nil {
		return
	}
	for _, source := range node.Sources {
		gauge(volumesDesc, float64(source.Count), source.Name)
		gauge(staleDesc, float64(source.Stale), source.Name)
		gauge(offlineDesc, float64(source.Offline), source.Name)
		gauge(heldDesc, float64(source.Held), source.Name)
		gauge(oldestDesc, source.Oldest, source.Name)
		buckets := map[float64]uint64{}
		for i, bound := range report.AgeBounds() {
			if i < len(source.Buckets) {
				buckets[bound] = source.Buckets[i]
			}
		}
		into <- prometheus.MustNewConstHistogram(agesDesc, source.Count, source.Ages, buckets, source.Name)
		gauge(upDesc, oneIf(!source.IsAway), source.Name)
	}
	if node.Unclaimed >= 0 {
		gauge(unclaimedDesc, float64(node.Unclaimed))
	}
	gauge(bytesDesc, float64(node.VolumeBytes))
	gauge(limitDesc, float64(node.Limit))
	gauge(roomDesc, float64(node.ForVolumes), "volumes")
	gauge(roomDesc, float64(node.ForWork), "deliveries")
	gauge(takenDesc, float64(node.HeldVolumes), "volumes")
	gauge(takenDesc, float64(node.HeldWork), "deliveries")
	gauge(holderDesc, float64(node.Largest))
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}
