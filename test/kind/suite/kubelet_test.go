package suite

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/test/kind/await"
)

// Kubelet publishes again what it finds after its start, with tokens that it asks for
// anew; nothing else could tell one token from the next so soon.
func TestKubeletRestartsAndRefreshesTheToken(t *testing.T) {
	s := begin(t)
	pod := s.Run(withMemory(task("task", all(), watching)), await.IsReady)
	n := s.on(pod)
	first, republished := s.tokenOf(pod), n.republishedBySuccessor(pod)
	// Not at once: it is kubelet that carries this command.
	n.shell("setsid sh -c 'sleep 0.3; kill -9 $(pidof kubelet)' </dev/null >/dev/null 2>&1 &")
	require.NoError(s, await.Until(s.Ctx, republished))
	variable, _ := s.rotate()
	s.awaitVariable("task", variable)
	assert.NotEqual(t, first, s.tokenOf(pod), "core was shown another token of the same pod")
	assert.Equal(t, "", s.Exec("task", "sh", "-c", "cat /seen/gaps 2>/dev/null || :"), "no file was ever gone")
	s.Run(task("after", all(), stays), await.IsReady)
	assert.Zero(t, s.Await("task", await.IsReady).Status.ContainerStatuses[0].RestartCount)
	for _, name := range []string{"task", "after"} {
		s.gone(name)
	}
	n.awaitNothing([]string{string(pod.UID)})
}

// tokenOf is the name of the token that core last saw of the pod, by its audit log.
func (s *scenario) tokenOf(pod *corev1.Pod) string {
	s.Helper()
	var last string
	for line := range strings.Lines(s.logOf("core")) {
		var record struct {
			PodUID  string `json:"pod_uid"`
			TokenID string `json:"token_id"`
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.PodUID == string(pod.UID) {
			last = record.TokenID
		}
	}
	require.NotEmpty(s, last, "core's audit log knows no token of the pod")
	return last
}

// republishedBySuccessor tells whether a kubelet that started after this call has published
// a volume of the pod. A kubelet that starts registers the driver before it calls it.
func (n *node) republishedBySuccessor(pod *corev1.Pod) func() bool {
	n.Helper()
	const registered = `"registered with kubelet"`
	driver := n.driver()
	before := strings.Count(n.logOfPods(*driver), registered)
	return func() bool {
		seen := 0
		for line := range strings.Lines(n.logOfPods(*driver)) {
			switch {
			case strings.Contains(line, registered):
				seen++
			case seen > before && strings.Contains(line, `"NodePublishVolume"`) && strings.Contains(line, string(pod.UID)):
				return true
			}
		}
		return false
	}
}

// rebootEnv names the command that cuts the power of the node whose name follows, and starts
// it again. Only who made the cluster knows one.
const rebootEnv = "LEOFLOW_NODE_REBOOT"

func TestNodeReboots(t *testing.T) {
	command := os.Getenv(rebootEnv)
	if command == "" {
		testneed.Missing(t, rebootEnv+" does not say how to reboot the node")
	}
	s := begin(t)
	pod := task("task", all(), stays)
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	pod = s.Run(pod, await.IsReady)
	n := s.on(pod)
	output, err := exec.CommandContext(s.Ctx, "sh", "-c", command+" "+n.name).CombinedOutput()
	require.NoError(t, err, string(output))
	again := func(pod *corev1.Pod) bool {
		return await.IsReady(pod) && pod.Status.ContainerStatuses[0].RestartCount > 0
	}
	s.Await("task", again)
	s.Await(n.pod, again)
	require.NoError(t, s.product.AwaitCore(s.Ctx))
	assert.Equal(t, s.product.entries.warehouse(), s.read("task", "connections/warehouse"))
	variable, _ := s.rotate()
	s.awaitVariable("task", variable)
	s.Run(task("after", all(), stays), await.IsReady)
	s.gone("task")
	n.awaitNothing([]string{string(pod.UID)})
}
