package suite

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/leoflow/secrets-csi/internal/kube/startuptaint"
	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// A node that comes with the taint takes pods once the driver is registered there, and the right to take
// it off is good for nothing else.
func TestStartupTaintGoesOnceTheDriverIsReady(t *testing.T) {
	s := begin(t)
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
	pod := task("task", all(), stays)
	pod.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": name}
	s.Create(pod)
	s.Await("task", isUnschedulable)
	require.NoError(t, s.Client.CoreV1().Pods(chart.Namespace).Delete(s.Ctx, old.Name, metav1.DeleteOptions{}))
	_, err = await.Node(s.Ctx, s.Client, name, func(node *corev1.Node) bool { return !isTainted(node) })
	require.NoError(t, err)
	s.Await("task", await.IsReady)
	events, err := s.Client.CoreV1().Events(s.Namespace).List(s.Ctx, metav1.ListOptions{FieldSelector: "reason=FailedMount"})
	require.NoError(t, err)
	assert.Empty(t, events.Items, "the pod came when the driver was ready")
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
