package suite

import (
	"os"
	"slices"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// direct is the account that may ask without a driver, too.
const direct = "direct"

// deliverer brings files into a pod. What is wanted of them is written once, in contract_test.go.
type deliverer interface {
	// pod is one whose container runs the script, and finds what it wants at mountPath.
	pod(name string, wants attributes, script string) *corev1.Pod
	// why is what the pod's author is shown of why it does not start, once that has the words.
	why(pod string, words ...string) string
	// kill ends what delivers into the pod, at once, and back returns when kubelet has started it again.
	kill(pod *corev1.Pod) (back func())
	// log is what has delivered into the pod has said.
	log(pod *corev1.Pod) string
}

// documentOf is that of the way without a driver.
func (s *scenario) documentOf() string {
	s.Helper()
	text, err := os.ReadFile("../../../docs/without-driver.md")
	require.NoError(s, err)
	return string(text)
}

// sidecar is the part of a pod that the document shows, with this cluster's image and core.
func (s *scenario) sidecar() *corev1.Pod {
	s.Helper()
	document, err := console.Parse("docs/without-driver.md", s.documentOf())
	require.NoError(s, err)
	at := slices.IndexFunc(document.Steps, func(step console.Step) bool { return step.File == "sidecar.yaml" })
	require.GreaterOrEqual(s, at, 0, "the document has no sidecar.yaml")
	written := strings.TrimSpace(document.Steps[at].Content)
	assert.LessOrEqual(s, strings.Count(written, "\n"), 15, "lines below the file's name")
	here := strings.NewReplacer(
		"leoflow/secrets-csi/driver:v0.1.0", chart.Driver(),
		"leoflow-core.leoflow.", chart.CoreName+"."+chart.Namespace+".", "leoflow-core-ca", chart.CoreName+"-ca",
	).Replace(written)
	pod := &corev1.Pod{}
	require.NoError(s, yaml.UnmarshalStrict([]byte(here), pod))
	return pod
}

// around is a pod with the document's security context and one container.
func (s *scenario) around(name, script string, mount corev1.VolumeMount) *corev1.Pod {
	s.Helper()
	sidecar, pod := s.sidecar(), withMemory(clustertest.Script(name, script))
	pod.Spec.SecurityContext = sidecar.Spec.SecurityContext
	pod.Spec.ServiceAccountName = direct
	mount.MountPath, mount.ReadOnly = mountPath, true
	main := &pod.Spec.Containers[0]
	main.VolumeMounts = append(main.VolumeMounts, mount)
	main.SecurityContext = sidecar.Spec.InitContainers[0].SecurityContext
	return pod
}

// place is where pods of both deliverers are, and the node that they share, which is looked at from another namespace.
type place struct {
	*scenario
	node *node
}

// ontoVolume is the driver.
type ontoVolume struct{ place }

func (v ontoVolume) pod(name string, wants attributes, script string) *corev1.Pod {
	pod := v.around("volume-"+name, script, corev1.VolumeMount{Name: "leoflow"})
	pod.Spec.Volumes = append(pod.Spec.Volumes, task("", wants, "").Spec.Volumes[0])
	return assigned(pod, v.node)
}

func (v ontoVolume) why(pod string, words ...string) string {
	var found string
	_, err := await.Event(v.Ctx, v.Client, v.Namespace, pod, func(event *corev1.Event) bool {
		found = event.Message
		return event.ReportingController == "leoflow-secrets-csi" && containsAll(found, words)
	})
	require.NoError(v, err)
	return found
}

func (v ontoVolume) kill(*corev1.Pod) (back func()) {
	was := v.node.driver()
	v.node.signal("KILL", was, "fetcher")
	v.node.signal("KILL", was, "driver")
	return func() {
		_, err := await.Pod(v.Ctx, v.Client, chart.Namespace, was.Name, func(pod *corev1.Pod) bool {
			return restarts(pod.Status.ContainerStatuses) > restarts(was.Status.ContainerStatuses)+1 && await.IsReady(pod)
		})
		require.NoError(v, err)
	}
}

func (v ontoVolume) log(*corev1.Pod) string { return v.logOfPods(*v.node.driver()) }

// intoDirectory is the document's sidecar.
type intoDirectory struct{ place }

func (d intoDirectory) pod(name string, wants attributes, script string) *corev1.Pod {
	sidecar := d.sidecar()
	pod := d.around("into-"+name, script, corev1.VolumeMount{Name: "secrets"})
	pod.Spec.Volumes = append(pod.Spec.Volumes, sidecar.Spec.Volumes...)
	pod.Spec.InitContainers = sidecar.Spec.InitContainers
	command := &pod.Spec.InitContainers[0].Command
	*command = slices.DeleteFunc(*command, func(argument string) bool {
		return strings.HasPrefix(argument, "--connections=") || strings.HasPrefix(argument, "--variables=")
	})
	for name, text := range wants {
		*command = append(*command, "--"+name+"="+text)
	}
	return assigned(pod, d.node)
}

func (d intoDirectory) why(pod string, words ...string) (found string) {
	probe := "Startup probe failed: "
	require.NoError(d, await.Until(d.Ctx, func() bool {
		is, err := d.Client.CoreV1().Pods(d.Namespace).Get(d.Ctx, pod, metav1.GetOptions{})
		require.NoError(d, err)
		for _, state := range []corev1.ContainerState{sidecarOf(is).State, sidecarOf(is).LastTerminationState} {
			if state.Terminated != nil && containsAll(state.Terminated.Message, words) {
				found = state.Terminated.Message
				return true
			}
		}
		events, err := d.Client.CoreV1().Events(d.Namespace).List(d.Ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
		require.NoError(d, err)
		at := slices.IndexFunc(events.Items, func(event corev1.Event) bool {
			return strings.HasPrefix(event.Message, probe) && containsAll(event.Message, words)
		})
		if at >= 0 {
			_, found, _ = strings.Cut(events.Items[at].Message, "volume shows no generation yet: ")
		}
		return at >= 0
	}))
	return strings.TrimSpace(found)
}

func (d intoDirectory) kill(pod *corev1.Pod) (back func()) {
	was, err := d.Client.CoreV1().Pods(d.Namespace).Get(d.Ctx, pod.Name, metav1.GetOptions{})
	require.NoError(d, err)
	d.node.signal("KILL", pod, "fetcher")
	return func() { d.back(was) }
}

// back returns when the sidecar has been started again since.
func (d intoDirectory) back(was *corev1.Pod) {
	d.Await(was.Name, func(pod *corev1.Pod) bool {
		return restarts(pod.Status.InitContainerStatuses) > restarts(was.Status.InitContainerStatuses) && sidecarOf(pod).Ready
	})
}

func (d intoDirectory) log(pod *corev1.Pod) string {
	options := &corev1.PodLogOptions{Container: "fetcher"}
	text, err := d.Client.CoreV1().Pods(d.Namespace).GetLogs(pod.Name, options).DoRaw(d.Ctx)
	require.NoError(d, err)
	return string(text)
}

func sidecarOf(pod *corev1.Pod) corev1.ContainerStatus {
	at := slices.IndexFunc(pod.Status.InitContainerStatuses, func(status corev1.ContainerStatus) bool { return status.Name == "fetcher" })
	if at < 0 {
		return corev1.ContainerStatus{}
	}
	return pod.Status.InitContainerStatuses[at]
}

func restarts(statuses []corev1.ContainerStatus) (all int32) {
	for _, status := range statuses {
		all += status.RestartCount
	}
	return all
}
