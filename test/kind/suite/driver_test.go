package suite

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// watching is a script that looks at the files without pause, and notes every time when
// one was not there whole.
const watching = `
	while sleep 0.01; do
		[ -s ` + mountPath + `/variables/rotating ] && [ -s ` + mountPath + `/connections/warehouse ] || date >>/seen/gaps
	done`

// outlives says that files stay, new pods start and rotation resumes, whatever happens to
// the driver. Kubelet tells a new driver of a volume when it looks at the pod, which it
// does once a minute, and when the pod changes: TestFullNodeAtOnce waits that minute.
func outlives(t *testing.T, driverGoes func(*node)) {
	s := begin(t)
	before := s.Run(withMemory(task("before", all(), watching)), await.IsReady)
	n := s.on(before)
	was := n.driver()
	driverGoes(n)
	assert.Equal(t, s.product.entries.warehouse(), s.read("before", "connections/warehouse"), "files stay")
	s.Run(assigned(task("after", all(), stays), n), await.IsReady)
	assert.NotEqual(t, incarnation(was), incarnation(n.driver()), "it was another driver")
	s.change("before")
	variable, _ := s.rotate()
	s.awaitVariable("before", variable)
	s.awaitVariable("after", variable)
	assert.Equal(t, "", s.Exec("before", "sh", "-c", "cat /seen/gaps 2>/dev/null || :"), "no file was ever gone")
	s.gone("before")
	n.awaitNothing([]string{string(before.UID)})
}

func TestDriverIsDeletedUnderRunningPods(t *testing.T) {
	outlives(t, func(n *node) {
		err := n.Client.CoreV1().Pods(chart.Namespace).Delete(n.Ctx, n.driver().Name, metav1.DeleteOptions{})
		require.NoError(n, err)
	})
}

func TestDriverIsKilledUnderRunningPods(t *testing.T) {
	outlives(t, func(n *node) { n.signal("KILL", n.driver(), "driver") })
}

func TestDriverIsUpgradedUnderRunningPods(t *testing.T) {
	outlives(t, (*node).upgradeDriver)
}

func TestDriverIsRolledBackUnderRunningPods(t *testing.T) {
	outlives(t, func(n *node) {
		n.upgradeDriver()
		_, err := chart.Helm(n.Ctx, nil, "rollback", chart.Name, "--namespace", chart.Namespace, "--wait", "--timeout", chart.Patience.String())
		require.NoError(n, err)
		require.NoError(n, n.product.AwaitDrivers(n.Ctx))
	})
}

// change makes kubelet look at the pod.
func (s *scenario) change(pod string) {
	s.Helper()
	patch := chart.Annotation(false, "changed", "")
	_, err := s.Client.CoreV1().Pods(s.Namespace).Patch(s.Ctx, pod, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	require.NoError(s, err)
}

// upgradeDriver upgrades the release to drivers of another template.
func (n *node) upgradeDriver() {
	n.Helper()
	driver := map[string]any{
		"logLevel": "debug", "podAnnotations": map[string]string{"leoflow.io/upgraded": time.Now().Format(time.RFC3339Nano)},
	}
	require.NoError(n, n.product.Upgrade(n.Ctx, map[string]any{"driver": driver}))
}

// incarnation tells apart the processes that one pod, or one node, has in turn.
func incarnation(driver *corev1.Pod) string {
	restarts := int32(0)
	for _, status := range driver.Status.ContainerStatuses {
		restarts += status.RestartCount
	}
	return string(driver.UID) + " " + strconv.Itoa(int(restarts))
}
