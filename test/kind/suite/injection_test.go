package suite

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// annotated is a pod that has annotations and nothing else of the product.
func annotated(name string, annotations ...string) *corev1.Pod {
	pod := clustertest.Script(name, stays)
	pod.Annotations = map[string]string{}
	for i := 0; i < len(annotations); i += 2 {
		pod.Annotations[csiDriver+"/"+annotations[i]] = annotations[i+1]
	}
	return pod
}

// Images that nobody changed: a busybox, and one with nothing but a program.
func TestAnnotationsBecomeAnEnvironment(t *testing.T) {
	s := beginIn(t, clustertest.Space{Patience: 2 * patience})
	if !s.isFrom(36) {
		return
	}
	require.NoError(t, s.product.Upgrade(s.Ctx, map[string]any{"injection": map[string]any{"enabled": true}}))
	removed := false
	remove := func() {
		if !removed { // the test's own context may be done
			assert.NoError(t, s.product.Upgrade(context.Background(), nil))
		}
		removed = true
	}
	defer remove()
	// The policies are in force a moment after they were installed.
	require.NoError(t, await.Until(s.Ctx, func() bool { return s.admit(annotated("probe", "connections", "a")) == nil }))
	for message, annotations := range map[string][]string{
		`"*" cannot be injected: a variable of an environment file is named in the pod; list ids`: {"connections", "*"},
		"is no list of ids that can be injected":                                                  {"variables", "a b"},
		"can be restart, or be left out":                                                          {"connections", "a", "on-rotate", "reload"},
	} {
		assert.ErrorContains(t, s.admit(annotated("probe", annotations...)), message)
	}

	distroless := annotated("distroless", "connections", "warehouse", "variables", "region")
	distroless.Spec.Containers[0].Image, distroless.Spec.Containers[0].Command = chart.Agent(), nil
	distroless.Spec.Containers[0].Args = []string{"wait", "--dir=/nowhere", "--timeout=1h"}
	s.Create(distroless)
	s.Create(annotated("busybox", "connections", " warehouse , payroll?", "variables", "region, rotating", "on-rotate", "restart"))
	s.Create(task("witness", attributes{"variables": "rotating"}, stays))
	pod := s.Await("busybox", await.IsReady)
	variables := s.product.entries.variables
	assert.Equal(t, map[string]string{
		"AIRFLOW_CONN_WAREHOUSE": s.product.entries.warehouse(), "AIRFLOW_VAR_REGION": variables["region"], "AIRFLOW_VAR_ROTATING": variables["rotating"],
	}, s.environment("busybox"))
	assert.Contains(t, s.on(s.Await("distroless", await.IsReady)).environ(s.Await("distroless", await.IsReady), "agent"),
		"AIRFLOW_CONN_WAREHOUSE="+s.product.entries.warehouse())

	s.Await("witness", await.IsReady)
	for _, last := range []bool{false, true} {
		if last {
			remove() // what is gone from the API is not gone from a pod that runs
		}
		variable, _ := s.rotate()
		s.awaitVariable("witness", variable)
		began := time.Now()
		s.awaitEnvironment("busybox", "AIRFLOW_VAR_ROTATING="+variable)
		took := time.Since(began)
		t.Logf("a rotation was in the restarted container after %v", took.Round(time.Millisecond))
		assert.Less(t, took, 10*time.Second)
	}
	assert.Equal(t, pod.Status.PodIP, s.Await("busybox", await.IsReady).Status.PodIP)
	created, err := s.Client.CoreV1().Pods(s.Namespace).Create(s.Ctx, annotated("plain", "connections", "a"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	assert.NotContains(t, volumeNames(created), "leoflow-env", "without the policy the annotations do nothing")
}

func volumeNames(pod *corev1.Pod) (names []string) {
	for _, volume := range pod.Spec.Volumes {
		names = append(names, volume.Name)
	}
	return names
}

// environ is the environment of another pod's process of that name.
func (n *node) environ(pod *corev1.Pod, process string) []string {
	n.Helper()
	return strings.Split(n.inProcess(pod, process, "cat $process/environ"), "\x00")
}
