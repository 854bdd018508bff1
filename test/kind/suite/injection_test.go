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

// injecting are the chart's values by which the API server injects.
func injecting() map[string]any {
	return map[string]any{"injection": map[string]any{"enabled": true}, "clouds": map[string]any{"aws": map[string]any{"enabled": true}}}
}

// Images that nobody changed: a busybox, and one with nothing but a program.
func TestAnnotationsBecomeAnEnvironment(t *testing.T) {
	s := beginIn(t, clustertest.Space{Patience: 3 * patience})
	if !s.isFrom(36) {
		return
	}
	require.NoError(t, s.product.Upgrade(s.Ctx, injecting()))
	defer func() { // the test's own context may be done
		assert.NoError(t, s.product.Upgrade(context.Background(), nil))
	}()
	// The policies are in force a moment after they were installed.
	require.NoError(t, await.Until(s.Ctx, func() bool { return s.admit(annotated("probe", "connections", "a")) == nil }))
	for message, annotations := range map[string][]string{
		`"*" cannot be injected: a variable of an environment file is named in the pod; list ids`: {"connections", "*"},
		"is no list of ids that can be injected":                                                  {"variables", "a b"},
		"can be restart, or be left out":                                                          {"connections", "a", "on-rotate", "reload"},
		"connection]: is not an annotation of a pod":                                              {"connection", "a"},
		"an id stands twice, or two ids become one variable":                                      {"connections", "a, A"},
	} {
		assert.ErrorContains(t, s.admit(annotated("probe", annotations...)), message)
	}

	distroless := annotated("distroless", "connections", "warehouse", "variables", "region")
	distroless.Spec.Containers[0].Image, distroless.Spec.Containers[0].Command = chart.Agent(), nil
	distroless.Spec.Containers[0].Args = []string{"wait", "--dir=/nowhere", "--timeout=1h"}
	s.Create(distroless)
	busybox := annotated("busybox", "connections", " warehouse , payroll?", "variables", "region, rotating", "on-rotate", "restart")
	busybox.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64)} // root's, which the init containers are not
	s.Create(busybox)
	s.Create(task("witness", attributes{"variables": "rotating"}, stays))
	s.annotatedAccount("keyless")
	keyless := annotated("keyless", "connections", "aws_default", "keyless", "aws_default")
	keyless.Spec.ServiceAccountName = "keyless"
	s.Create(keyless)
	pod := s.Await("busybox", await.IsReady)
	variables := s.product.entries.variables
	assert.Equal(t, map[string]string{
		"AIRFLOW_CONN_WAREHOUSE": s.product.entries.warehouse(), "AIRFLOW_VAR_REGION": variables["region"], "AIRFLOW_VAR_ROTATING": variables["rotating"],
	}, s.environment("busybox"))
	assert.Contains(t, s.on(s.Await("distroless", await.IsReady)).environ(s.Await("distroless", await.IsReady), "agent"),
		"AIRFLOW_CONN_WAREHOUSE="+s.product.entries.warehouse())
	s.Create(annotated("unknown", "connections", "ghost"))
	s.event("unknown", `connection "ghost" does not exist in core`)
	s.Await("keyless", await.IsReady)
	assert.Equal(t, "AWS_ROLE_ARN="+awsRole+"\nAWS_WEB_IDENTITY_TOKEN_FILE="+mountPath+"/identity/aws.token\n",
		s.Exec("keyless", "sh", "-c", "env | grep -E '^(AWS|AZURE|GOOGLE)_' | sort"))
	assert.True(t, s.reviewFor(s.Exec("keyless", "sh", "-c", `cat "$AWS_WEB_IDENTITY_TOKEN_FILE"`), awsAudience).Authenticated)

	s.Await("witness", await.IsReady)
	s.assertRotates(pod)
	s.assertWithoutPolicies(pod)
	require.NoError(t, s.product.Upgrade(s.Ctx, injecting()), "who applies the chart again has the policies again")
	require.NoError(t, await.Until(s.Ctx, func() bool { return s.admit(annotated("probe", "connections", "*")) != nil }))
	s.Run(annotated("again", "connections", "warehouse"), await.IsReady)
	assert.Equal(t, map[string]string{"AIRFLOW_CONN_WAREHOUSE": s.product.entries.warehouse()}, s.environment("again"))
	assert.Error(t, s.admit(s.carrying(misspeltVolume())), "the other policy too")
	s.assertRotates(pod)
}

// assertRotates says that a rotation is in the pod's restarted container soon, and nothing else of the pod new.
func (s *scenario) assertRotates(pod *corev1.Pod) {
	s.Helper()
	variable, _ := s.rotate()
	s.awaitVariable("witness", variable)
	began := time.Now()
	s.awaitEnvironment(pod.Name, "AIRFLOW_VAR_ROTATING="+variable)
	took := time.Since(began)
	s.Logf("a rotation was in the restarted container after %v", took.Round(time.Millisecond))
	assert.Less(s, took, 10*time.Second)
	assert.Equal(s, pod.Status.PodIP, s.Await(pod.Name, await.IsReady).Status.PodIP)
}

// assertWithoutPolicies deletes the policies under a running pod that was injected: first the one that injects, so that
// annotated pods are refused, and then what refuses. What runs goes on; what comes has the driver's word.
func (s *scenario) assertWithoutPolicies(pod *corev1.Pod) {
	s.Helper()
	remove := func(kinds string) {
		s.kubectl("delete", kinds, "--selector=app.kubernetes.io/instance="+chart.Name)
	}
	remove("mutatingadmissionpolicybindings,mutatingadmissionpolicies")
	require.NoError(s, await.Until(s.Ctx, func() bool {
		err := s.admit(annotated("plain", "connections", "a"))
		return err != nil && strings.Contains(err.Error(), "this pod is annotated and was not injected")
	}))
	remove("validatingadmissionpolicybindings,validatingadmissionpolicies")
	require.NoError(s, await.Until(s.Ctx, func() bool { return s.admit(annotated("plain", "connections", "a")) == nil }))
	created, err := s.Client.CoreV1().Pods(s.Namespace).Create(s.Ctx, annotated("plain", "connections", "a"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(s, err)
	assert.NotContains(s, volumeNames(created), "leoflow-env", "without the policy the annotations do nothing")
	s.assertRotates(pod)
	bad := s.carrying(misspeltVolume())
	s.Create(bad)
	s.event(bad.Name, "volumeAttributes.conections: is not an attribute")
	s.gone(bad.Name)
	s.Run(task("after", all(), stays), await.IsReady)
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
