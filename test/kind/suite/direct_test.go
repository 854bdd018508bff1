package suite

import (
	"os"
	"strings"
	"testing"
	"time"

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

// direct is the account that may ask without a driver.
const direct = "direct"

// sidecar is the part of a pod that docs/without-driver.md shows, with this cluster's image and core.
func (s *scenario) sidecar(name string) *corev1.Pod {
	s.Helper()
	text, err := os.ReadFile("../../../docs/without-driver.md")
	require.NoError(s, err)
	document, err := console.Parse("docs/without-driver.md", string(text))
	require.NoError(s, err)
	for _, step := range document.Steps {
		if step.File != "sidecar.yaml" {
			continue
		}
		written := strings.TrimSpace(step.Content)
		assert.LessOrEqual(s, strings.Count(written, "\n"), 15, "lines below the file's name")
		here := strings.NewReplacer(
			"leoflow/secrets-csi/driver:v0.1.0", chart.Driver(),
			chart.CoreName+".leoflow.", chart.CoreName+"."+chart.Namespace+".",
		).Replace(written)
		pod := &corev1.Pod{}
		require.NoError(s, yaml.UnmarshalStrict([]byte(here), pod))
		main := clustertest.Script(name, stays)
		pod.ObjectMeta, pod.Spec.RestartPolicy = main.ObjectMeta, corev1.RestartPolicyNever
		pod.Spec.TerminationGracePeriodSeconds = main.Spec.TerminationGracePeriodSeconds
		pod.Spec.ServiceAccountName = direct
		container := main.Spec.Containers[0]
		container.VolumeMounts = []corev1.VolumeMount{{Name: "secrets", MountPath: mountPath, ReadOnly: true}}
		container.SecurityContext = pod.Spec.InitContainers[0].SecurityContext
		pod.Spec.Containers = []corev1.Container{container}
		return pod
	}
	require.Fail(s, "the document has no sidecar.yaml")
	return nil
}

// beginDirect has a namespace that admits nothing with rights, with core's CA and the account.
func beginDirect(t *testing.T) *scenario {
	t.Helper()
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	s := beginIn(t, clustertest.Space{Labels: labels, Patience: patience})
	s.account(direct)
	ca, err := s.Client.CoreV1().ConfigMaps(chart.Namespace).Get(s.Ctx, chart.CoreName+"-ca", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = s.Client.CoreV1().ConfigMaps(s.Namespace).Create(s.Ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ca.Name}, Data: ca.Data}, metav1.CreateOptions{})
	require.NoError(t, err)
	return s
}

// The quick start as it is in the document, under the Pod Security Standard restricted: no volume of the
// driver's, a directory that is filled before the container starts, and follows a rotation.
func TestWithoutADriver(t *testing.T) {
	s := beginDirect(t)
	pod := s.sidecar("task")
	for i, argument := range pod.Spec.InitContainers[0].Command {
		if strings.HasPrefix(argument, "--variables=") {
			pod.Spec.InitContainers[0].Command[i] = "--variables=region,rotating"
		}
	}
	began := time.Now()
	s.Run(pod, await.IsReady)
	t.Logf("ready %v after it was created", time.Since(began).Round(time.Millisecond))
	assert.Equal(t, s.product.entries.warehouse(), s.read("task", "connections/warehouse"))
	assert.Equal(t, s.product.entries.variables["region"], s.read("task", "variables/region"))
	_, err := s.TryExec("task", "touch", mountPath+"/new")
	assert.ErrorContains(t, err, "Read-only file system")
	assert.Equal(t, "tmpfs", strings.Fields(s.Exec("task", "grep", " "+mountPath+" ", "/proc/mounts"))[2])
	assert.Equal(t, "440 1000 1000\n", s.Exec("task", "stat", "-L", "-c", "%a %u %g", mountPath+"/variables/region"))

	variable, _, err := s.product.rotate(s.Ctx)
	require.NoError(t, err)
	require.NoError(t, await.Until(s.Ctx, func() bool { return s.read("task", "variables/rotating") == variable }))

	var told string
	require.NoError(t, await.Until(s.Ctx, func() bool {
		told = s.lastOf(s.Ctx, "core")
		return strings.Contains(told, `"direct":true`)
	}))
	assert.Contains(t, told, string(s.Await("task", await.IsReady).UID))
}

// A pod whose account no rule lets ask without a driver does not start, and its sidecar says why.
func TestWithoutADriverAndARule(t *testing.T) {
	s := beginDirect(t)
	pod := s.sidecar("task")
	pod.Spec.ServiceAccountName = "default" // which has rules, and none that is direct
	s.Create(pod)
	require.NoError(t, await.Until(s.Ctx, func() bool {
		log, err := s.Client.CoreV1().Pods(s.Namespace).GetLogs("task", &corev1.PodLogOptions{Container: "fetcher"}).DoRaw(s.Ctx)
		return err == nil && strings.Contains(string(log), "no rule lets this caller read it without a driver between")
	}))
	found := s.Await("task", func(*corev1.Pod) bool { return true })
	assert.Equal(t, corev1.PodPending, found.Status.Phase)
}
