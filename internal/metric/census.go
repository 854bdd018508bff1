package metric

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/report"
)

// Node is what is asked at every scrape.
type Node interface {
	// Census is the state of every live volume.
	Census() []report.State
	// Stats measures the volume at path.
	Stats(path string) (deliver.Usage, error)
	// Unreachable says why providers, by name, cannot be asked.
	Unreachable() map[string]string
	// Memory is what the driver's memory is reckoned with.
	Memory() budget.State
	// Unclaimed counts the volumes that wait for kubelet since the driver's restart.
	Unclaimed() (int, error)
}

// Watch has the node counted at every scrape: its live volumes by provider, and whether
// it is ready, which kubelet's registration is the greater part of.
func (m *Metrics) Watch(node Node, providers []string, ready func(context.Context) error) {
	m.registry.MustRegister(&census{node: node, providers: providers, ready: ready})
}

type census struct {
	node      Node
	providers []string
	ready     func(context.Context) error
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

// Collect implements prometheus.Collector.
func (c *census) Collect(into chan<- prometheus.Metric) {
	states, unreachable := c.node.Census(), c.node.Unreachable()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		into <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, name := range c.providers {
		sum := summarize(name, states, time.Now())
		gauge(volumesDesc, float64(sum.count), name)
		gauge(staleDesc, float64(sum.stale), name)
		gauge(offlineDesc, float64(sum.offline), name)
		gauge(heldDesc, float64(sum.held), name)
		gauge(oldestDesc, sum.oldest, name)
		into <- prometheus.MustNewConstHistogram(agesDesc, sum.count, sum.ages, sum.buckets, name)
		_, down := unreachable[name]
		gauge(upDesc, oneIf(!down), name)
	}
	if unclaimed, err := c.node.Unclaimed(); err == nil {
		gauge(unclaimedDesc, float64(unclaimed))
	}
	gauge(bytesDesc, float64(c.bytes(states)))
	memory := c.node.Memory()
	gauge(limitDesc, float64(memory.Limit))
	gauge(roomDesc, float64(memory.Volumes), "volumes")
	gauge(roomDesc, float64(memory.Work), "deliveries")
	gauge(takenDesc, float64(memory.HeldVolumes), "volumes")
	gauge(takenDesc, float64(memory.HeldWork), "deliveries")
	gauge(holderDesc, float64(memory.Largest()))
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	gauge(readyDesc, oneIf(c.ready(ctx) == nil))
}

func oneIf(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}

// bytes leaves out volumes that go while they are measured.
func (c *census) bytes(states []report.State) (sum int64) {
	measured := map[string]bool{} // a volume of two sources has two states
	for _, state := range states {
		if measured[state.TargetPath] {
			continue
		}
		measured[state.TargetPath] = true
		if usage, err := c.node.Stats(state.TargetPath); err == nil {
			sum += usage.Bytes.Used
		}
	}
	return sum
}

// summary is of the volumes of one provider; ages are in seconds.
type summary struct {
	count, stale, offline, held uint64
	oldest, ages                float64
	// buckets counts the ages up to each bound.
	buckets map[float64]uint64
}

// ageBounds have 900 among them, the least age at which a volume is stale.
func ageBounds() []float64 { return []float64{30, 60, 300, 600, 900, 1800, 3600, 21600, 86400} }

func summarize(name string, states []report.State, now time.Time) summary {
	sum := summary{buckets: map[float64]uint64{}}
	for _, bound := range ageBounds() {
		sum.buckets[bound] = 0
	}
	for _, state := range states {
		if state.Source == name {
			sum.add(state, max(0, now.Sub(state.Confirmed)).Seconds()) // a clock may be stepped
		}
	}
	return sum
}

func (s *summary) add(state report.State, age float64) {
	s.count++
	s.ages += age
	s.oldest = max(s.oldest, age)
	if state.Stale {
		s.stale++
	}
	if state.Offline {
		s.offline++
	}
	if state.Held {
		s.held++
	}
	for bound := range s.buckets {
		if age <= bound {
			s.buckets[bound]++
		}
	}
}
