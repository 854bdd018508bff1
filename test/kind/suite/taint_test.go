package suite

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/kube/startuptaint"
	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// A node that comes with the taint takes pods once the driver is registered there, and the right to take
// it off is good for nothing else.
func TestStartupTaintGoesOnceTheDriverIsReady(t *testing.T) {
	s := beginIn(t, clustertest.Space{Patience: 2 * patience})
	require.NoError(t, s.product.Upgrade(s.Ctx, map[string]any{"driver": map[string]any{"logLevel": "debug", "startupTaint": true}}))
	defer func() { // the test's own context may be done
		assert.NoError(t, s.product.Upgrade(context.Background(), nil))
	}()
	_, workers := s.nodes()
	name := workers[0]
	s.taint(name)
	s.assertNarrow(name)

	// The driver of a new node starts there; here it is started again.
	old, err := s.product.driver(s.Ctx, name)
	require.NoError(t, err)
	s.awaitsNode("task", name)
	require.NoError(t, s.Client.CoreV1().Pods(chart.Namespace).Delete(s.Ctx, old.Name, metav1.DeleteOptions{}))
	s.assertUntainted("task", name)

	t.Run("after a reboot", func(t *testing.T) { s.in(t).reboot(workers[len(workers)-1]) })
}

// awaitsNode creates a pod for the node that the scheduler keeps off.
func (s *scenario) awaitsNode(name, node string) {
	s.Helper()
	pod := task(name, all(), stays)
	pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	s.Create(pod)
	s.Await(name, isUnschedulable)
}

// assertUntainted says that the taint goes, and that the pod runs then and never met a node without the driver.
func (s *scenario) assertUntainted(pod, node string) {
	s.Helper()
	_, err := await.Node(s.Ctx, s.Client, node, func(node *corev1.Node) bool { return !isTainted(node) })
	require.NoError(s, err)
	s.Await(pod, await.IsReady)
	events, err := s.Client.CoreV1().Events(s.Namespace).List(s.Ctx, metav1.ListOptions{FieldSelector: "reason=FailedMount,involvedObject.name=" + pod})
	require.NoError(s, err)
	for _, event := range events.Items { // such as that the network of a node that boots does not reach core yet
		s.Logf("%s: %s", event.InvolvedObject.Name, event.Message)
		assert.NotContains(s, event.Message, "not found in the list of registered CSI drivers", "the pod came when the driver was ready")
	}
}

// kubeletFlags is where kubeadm keeps kubelet's.
const kubeletFlags = "/var/lib/kubelet/kubeadm-flags.env"

// reboot cuts a node's power whose kubelet registers with the taint. The node that comes back is new to the API, as
// one is that an autoscaler or a cloud makes anew, and a driver that never ran before takes the taint off.
func (s *scenario) reboot(name string) {
	s.Helper()
	reboot, onNode := os.Getenv(rebootEnv), os.Getenv(execEnv)
	if reboot == "" || onNode == "" {
		testneed.Missing(s.TB, rebootEnv+" and "+execEnv+" do not say how to reboot the node")
	}
	run := func(ctx context.Context, command string) {
		output, err := exec.CommandContext(ctx, "sh", "-c", command).CombinedOutput()
		require.NoError(s, err, string(output))
	}
	// The test's own context may be done.
	defer run(context.Background(), onNode+" "+name+` sed -i 's# --register-with-taints=[^ "]*##' `+kubeletFlags)
	run(s.Ctx, onNode+" "+name+` sed -i '/KUBELET_KUBEADM_ARGS/s#"$# --register-with-taints=`+startuptaint.Key+`=:NoSchedule"#' `+kubeletFlags)
	run(s.Ctx, onNode+" "+name+" systemctl stop kubelet")
	require.NoError(s, s.Client.CoreV1().Nodes().Delete(s.Ctx, name, metav1.DeleteOptions{}))
	s.awaitsNode("rebooted", name)
	began := time.Now()
	run(s.Ctx, reboot+" "+name)
	_, err := await.Node(s.Ctx, s.Client, name, isTainted)
	require.NoError(s, err)
	s.Logf("the node registered with the taint %v after its power was cut", time.Since(began).Round(100*time.Millisecond))
	s.assertUntainted("rebooted", name)
	s.Logf("and had a running pod after %v", time.Since(began).Round(100*time.Millisecond))
	assert.Equal(s, s.product.entries.warehouse(), s.read("rebooted", "connections/warehouse"))
	require.NoError(s, s.product.AwaitDrivers(s.Ctx))
	require.NoError(s, s.product.AwaitCore(s.Ctx))
}

func isUnschedulable(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable
	})
}

// assertNarrow does as somebody would who has the token of the driver on a node.
func (s *scenario) assertNarrow(node string) {
	s.Helper()
	config := rest.CopyConfig(s.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + chart.Namespace + ":" + chart.DriverName,
		Extra:    map[string][]string{"authentication.kubernetes.io/node-name": {node}},
	}
	client, err := kubernetes.NewForConfig(config)
	require.NoError(s, err)
	patch := func(name, text string) error {
		_, err := client.CoreV1().Nodes().Patch(s.Ctx, name, types.MergePatchType, []byte(text), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	all, _ := s.nodes()
	for _, other := range all {
		if other != node {
			assert.ErrorContains(s, patch(other, `{"spec":{"taints":[]}}`), "a driver changes its own node alone")
		}
	}
	for _, text := range []string{`{"metadata":{"labels":{"a":"b"}}}`, `{"spec":{"unschedulable":true}}`, `{"spec":{"taints":[{"key":"other","effect":"NoExecute"}]}}`} {
		assert.ErrorContains(s, patch(node, text), "changes nothing else", text)
	}
	assert.NoError(s, patch(node, `{"spec":{"taints":[]}}`))
	_, err = client.CoreV1().Nodes().Patch(s.Ctx, node, types.MergePatchType, []byte(`{"status":{"phase":"x"}}`), metav1.PatchOptions{}, "status")
	assert.ErrorContains(s, err, "forbidden")
}

// taint is what whoever makes nodes does.
func (s *scenario) taint(node string) {
	s.Helper()
	patch := `{"spec":{"taints":[{"key":"` + startuptaint.Key + `","effect":"NoSchedule"}]}}`
	_, err := s.Client.CoreV1().Nodes().Patch(s.Ctx, node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(s, err)
}

func isTainted(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == startuptaint.Key })
}
