package suite

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// isFrom tells whether the cluster is of Kubernetes 1.minor or later. What an older one has not is
// nothing that this machine lacks.
func (s *scenario) isFrom(minor int) bool {
	s.Helper()
	version, err := s.Client.Discovery().ServerVersion()
	require.NoError(s, err)
	found, err := strconv.Atoi(strings.TrimRight(version.Minor, "+"))
	require.NoError(s, err)
	if found < minor {
		s.Logf("Kubernetes %s has none of it, 1.%d has", version.GitVersion, minor)
	}
	return found >= minor
}

// unwrapped is a pod of the document with a busybox in place of the image that stays as it is.
func unwrapped(t *testing.T, manifest string) *corev1.Pod {
	t.Helper()
	pod := manifested(t, manifest)
	main := &pod.Spec.Containers[0]
	main.Image, main.Command = clustertest.Busybox, []string{"sleep", "3600"}
	return pod
}

func fromFile(name, key string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FileKeyRef: &corev1.FileKeySelector{VolumeName: "env", Path: "leoflow", Key: key},
	}}
}

// A real kubelet reads what the agent wrote: without a shell, root, a capability or a writable
// file system.
func TestEnvironmentWithoutAWrapper(t *testing.T) {
	space := clustertest.Space{Patience: patience, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}
	s := beginIn(t, space)
	pod := unwrapped(t, documented(t)["unchanged.yaml"])
	for _, volume := range pod.Spec.Volumes {
		if volume.CSI != nil {
			volume.CSI.VolumeAttributes["variables"] = "region, odd, batch.size"
		}
	}
	main := &pod.Spec.Containers[0]
	main.Env = append(main.Env, fromFile("AIRFLOW_VAR_ODD", "AIRFLOW_VAR_ODD"), fromFile("AIRFLOW_VAR_BATCH.SIZE", "AIRFLOW_VAR_BATCH.SIZE"))
	absent := unwrapped(t, documented(t)["unchanged.yaml"])
	absent.Name, absent.Spec.Containers[0].Env = "absent", []corev1.EnvVar{fromFile("VALUE", "AIRFLOW_VAR_NOWHERE")}
	s.Create(absent)
	s.Run(pod, await.IsReady)
	t.Log("kubelet of a key that is not there:", s.event("absent", "AIRFLOW_VAR_NOWHERE"))
	variables := s.product.entries.variables
	seen := strings.Split(s.Exec(pod.Name, "cat", "/proc/1/environ"), "\x00")
	assert.Contains(t, seen, "REGION="+variables["region"])
	assert.Equal(t, map[string]string{
		"AIRFLOW_CONN_WAREHOUSE": s.product.entries.warehouse(),
		"AIRFLOW_VAR_ODD":        variables["odd"],
		"AIRFLOW_VAR_BATCH.SIZE": variables["batch.size"],
	}, s.environment(pod.Name), "and the optional one that is denied is not set")
}

// rotations is how many of them a pod takes one after another. The second restart would be late already, if kubelet
// held it back.
var rotations = testlong.Count(6, 20)

// Every container starts again in place, as often as something changes.
func TestRotationRestartsContainersInPlace(t *testing.T) {
	s := beginIn(t, clustertest.Space{Patience: 3 * patience})
	if !s.isFrom(36) {
		return
	}
	pod := unwrapped(t, documented(t)["restarted.yaml"])
	for _, volume := range pod.Spec.Volumes {
		if volume.CSI != nil {
			volume.CSI.VolumeAttributes = attributes{"connections": "rotating", "variables": "rotating"}
		}
	}
	pod.Spec.Containers[0].Env = []corev1.EnvVar{fromFile("VALUE", "AIRFLOW_VAR_ROTATING")}
	s.Create(pod)
	s.Create(task("witness", attributes{"variables": "rotating"}, stays))
	before := s.Await(pod.Name, await.IsReady)
	s.Await("witness", await.IsReady)
	marker := s.Exec(pod.Name, "readlink", "/proc/1/ns/net")
	var took []time.Duration
	for range rotations {
		variable, _ := s.rotate()
		s.awaitVariable("witness", variable)
		began := time.Now()
		s.awaitEnvironment(pod.Name, "VALUE="+variable)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("a rotation was in the restarted container %v after it was in a file, at the median, and %v at the most",
		took[rotations/2].Round(time.Millisecond), took[rotations-1].Round(time.Millisecond))
	assert.Less(t, took[rotations-1], 10*time.Second)
	after := s.Await(pod.Name, await.IsReady)
	assert.Equal(t, before.UID, after.UID)
	assert.Equal(t, before.Status.PodIP, after.Status.PodIP)
	assert.Equal(t, marker, s.Exec(pod.Name, "readlink", "/proc/1/ns/net"), "its network is the same")
	assert.GreaterOrEqual(t, after.Status.ContainerStatuses[0].RestartCount, int32(rotations))
	s.assertOutlivesItsSidecar(after)
}

// assertOutlivesItsSidecar kills the sidecar, and has something rotate while it is away. Kubelet starts it again by
// itself, and leaves the program alone; then it finds that the environment is an older one.
func (s *scenario) assertOutlivesItsSidecar(pod *corev1.Pod) {
	s.Helper()
	before := pod.Status.ContainerStatuses[0].RestartCount
	s.on(pod).signal("KILL", pod, "agent")
	_, err := await.Pod(s.Ctx, s.Client, s.Namespace, pod.Name, func(pod *corev1.Pod) bool { return isKilled(pod, "rotation") })
	require.NoError(s, err)
	assert.Equal(s, before, s.Await(pod.Name, await.IsReady).Status.ContainerStatuses[0].RestartCount, "the program goes on")
	variable, _ := s.rotate()
	s.awaitVariable("witness", variable)
	began := time.Now()
	s.awaitEnvironment(pod.Name, "VALUE="+variable)
	s.Logf("a rotation behind a killed sidecar was in the restarted container after %v", time.Since(began).Round(time.Millisecond))
}

// isKilled holds once kubelet knows that the container was killed.
func isKilled(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Status.InitContainerStatuses, func(status corev1.ContainerStatus) bool {
		for _, state := range []*corev1.ContainerStateTerminated{status.State.Terminated, status.LastTerminationState.Terminated} {
			if status.Name == container && state != nil && state.ExitCode == 137 {
				return true
			}
		}
		return false
	})
}

// awaitEnvironment returns once the pod's first process was started with the variable.
func (s *scenario) awaitEnvironment(pod, variable string) {
	s.Helper()
	err := await.Until(s.Ctx, func() bool {
		environ, err := s.TryExec(pod, "cat", "/proc/1/environ") // which fails while the container is away
		return err == nil && slices.Contains(strings.Split(environ, "\x00"), variable)
	})
	require.NoError(s, err)
}
