package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// kills is how often the fetcher is killed. Kubelet starts it again at once, and then after a pause
// that doubles: after five kills the test has waited for two minutes and a half.
var kills = testlong.Count(3, 5)

const (
	// startsOfRound is how many pods begin to start just before the fetcher is killed, and as many after
	// it; all of them end at the next kill.
	startsOfRound = 2
	// afterReturn is how long a start may take after kubelet has started the fetcher for the last time.
	afterReturn = 5 * time.Second
)

// seeing is watching, and notes the hash of every value that the file had.
const seeing = `
	while sleep 0.01; do
		[ -s ` + mountPath + `/variables/rotating ] && [ -s ` + mountPath + `/connections/warehouse ] || date >>/seen/gaps
		now=$(sha256sum <` + mountPath + `/variables/rotating)
		[ "$now" = "$last" ] || echo "${now%% *}" >>/seen/values
		last=$now
	done`

// The fetcher is killed again and again while pods start, others end and a value rotates. Live pods
// show no wrong byte, no end waits for the fetcher, and whoever starts has the newest value soon after
// kubelet has started it again.
func TestFetcherIsKilledUnderRunningPods(t *testing.T) {
	s := beginIn(t, clustertest.Space{Patience: 2 * patience})
	served := map[string]bool{hash(s.product.entries.variables["rotating"]): true}
	before := s.Run(withMemory(task("before", all(), seeing)), await.IsReady)
	n := s.on(before)
	ends := s.startSome(n, "first")
	for _, pod := range ends {
		s.Await(pod.Name, await.IsReady)
	}
	for round := 1; round <= kills; round++ {
		was := fetcherOf(n.driver()).RestartCount
		variable, _ := s.rotate()
		served[hash(variable)] = true
		starts := s.startSome(n, fmt.Sprint(round, "-before"))
		s.endAll(ends)
		n.signal("KILL", n.driver(), "fetcher")
		killed := time.Now()
		maps.Copy(starts, s.startSome(n, fmt.Sprint(round, "-after")))

		n.awaitNothing(slices.Collect(maps.Keys(ends)))
		ended := time.Now()
		back, said := n.awaitFetcher(was)
		slowest := time.Time{}
		for _, pod := range starts {
			ready := readySince(s.Await(pod.Name, await.IsReady))
			if ready.After(slowest) {
				slowest = ready
			}
		}
		t.Logf("kill %d: kubelet started the fetcher again after %v (%s); %d pods had ended after %v, and %d had started %v after the fetcher's return",
			round, back.Sub(killed).Round(time.Second), said, len(ends), ended.Sub(killed).Round(100*time.Millisecond), len(starts), slowest.Sub(back))
		if round == kills {
			assert.LessOrEqual(t, slowest.Sub(back), afterReturn)
			assert.True(t, ended.Before(back), "no end waited for the fetcher")
		}
		for _, pod := range starts {
			s.awaitVariable(pod.Name, variable)
			assert.Equal(t, s.product.entries.warehouse(), s.read(pod.Name, "connections/warehouse"))
		}
		s.awaitVariable("before", variable)
		ends = starts
	}
	assert.Equal(t, "", s.Exec("before", "sh", "-c", "cat /seen/gaps 2>/dev/null || :"), "no file was ever gone")
	for seen := range strings.FieldsSeq(s.Exec("before", "cat", "/seen/values")) {
		assert.True(t, served[seen], "a value that core never had")
	}
	s.endAll(ends)
	n.awaitNothing(slices.Collect(maps.Keys(ends)))
}

// startSome creates pods on the node, by their UIDs, and does not wait.
func (s *scenario) startSome(n *node, name string) map[string]*corev1.Pod {
	s.Helper()
	made := map[string]*corev1.Pod{}
	for i := range startsOfRound {
		pod := s.Create(assigned(task(fmt.Sprintf("start-%s-%d", name, i), all(), stays), n))
		made[string(pod.UID)] = pod
	}
	return made
}

func (s *scenario) endAll(pods map[string]*corev1.Pod) {
	s.Helper()
	for _, pod := range pods {
		require.NoError(s, s.Client.CoreV1().Pods(s.Namespace).Delete(s.Ctx, pod.Name, metav1.DeleteOptions{}))
	}
}

// awaitFetcher returns when kubelet started the fetcher after so many restarts, and what it said
// meanwhile.
func (n *node) awaitFetcher(was int32) (started time.Time, said string) {
	n.Helper()
	said = "no back-off"
	_, err := await.Pod(n.Ctx, n.Client, chart.Namespace, n.driver().Name, func(pod *corev1.Pod) bool {
		status := fetcherOf(pod)
		if waiting := status.State.Waiting; waiting != nil && waiting.Reason == "CrashLoopBackOff" {
			said, _, _ = strings.Cut(waiting.Message, " restarting")
		}
		if status.RestartCount <= was || status.State.Running == nil {
			return false
		}
		started = status.State.Running.StartedAt.Time
		return true
	})
	require.NoError(n, err)
	return started, said
}

func fetcherOf(driver *corev1.Pod) corev1.ContainerStatus {
	at := slices.IndexFunc(driver.Status.ContainerStatuses, func(status corev1.ContainerStatus) bool { return status.Name == "fetcher" })
	if at < 0 {
		return corev1.ContainerStatus{}
	}
	return driver.Status.ContainerStatuses[at]
}

// readySince is when kubelet found the pod ready, to the second.
func readySince(pod *corev1.Pod) time.Time {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
