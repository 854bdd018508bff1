package suite

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

const (
	pairs = 30
	// mayAdd is what the volume may add to the median start of a pod.
	mayAdd = 60 * time.Millisecond
	// mayStretch is what it may make of the time that a full node takes.
	mayStretch = 1.15
)

// begins is a script that leaves behind when it began. Kubelet sees a container run when it looks,
// once a second, which would hide what is measured here.
const begins = ": >/tmp/began; " + stays

// BenchmarkPodStart compares, in turns, how long it takes from the creation of a pod until
// its container runs, with the volume and without.
//
//	go test ./suite -run '^$' -bench . -benchtime 1x
func BenchmarkPodStart(b *testing.B) {
	s := beginIn(b, clustertest.Space{Patience: patienceToMeasure})
	start := func(pod *corev1.Pod) time.Duration {
		began := time.Now()
		s.Run(pod, await.IsReady)
		written := s.Exec(pod.Name, "/bin/sh", "-c", "until [ -e /tmp/began ]; do sleep 0.01; done; stat -c %y /tmp/began")
		runs, err := time.Parse("2006-01-02 15:04:05.999999999 -0700", strings.TrimSpace(written))
		require.NoError(b, err)
		s.gone(pod.Name)
		return runs.Sub(began)
	}
	for b.Loop() {
		var with, without []time.Duration
		for range pairs {
			with = append(with, start(task("task", all(), begins)))
			without = append(without, start(clustertest.Script("bare", begins)))
		}
		adds := median(with) - median(without)
		b.Logf("median of %d pods: %v with the volume, %v without: %v more", pairs, median(with), median(without), adds)
		b.ReportMetric(float64(adds.Milliseconds()), "ms-added")
		assert.LessOrEqual(b, adds, mayAdd)
	}
}

// BenchmarkFullNode compares how long a whole node's pods take that are created at once.
func BenchmarkFullNode(b *testing.B) {
	s := beginIn(b, clustertest.Space{Patience: patienceToMeasure})
	n := s.on(s.Run(task("before", all(), stays), await.IsReady))
	fill := func(pod func(string) *corev1.Pod) time.Duration {
		took := s.crowd(fullNode, pod)
		n.awaitNothing(s.disperse())
		return took
	}
	bare := func(name string) *corev1.Pod { return assigned(clustertest.Script(name, stays), n) }
	full := func(name string) *corev1.Pod { return assigned(task(name, all(), stays), n) }
	for b.Loop() {
		without, with := fill(bare), fill(full)
		with += fill(full)
		without += fill(bare)
		ratio := with.Seconds() / without.Seconds()
		b.Logf("%d pods at once, mean of two: %v with the volume, %v without: ratio %.2f", fullNode, with/2, without/2, ratio)
		b.ReportMetric(ratio, "ratio")
		assert.LessOrEqual(b, ratio, mayStretch)
	}
}

func median(durations []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(durations))
	return sorted[len(sorted)/2]
}
