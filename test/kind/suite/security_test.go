package suite

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

const (
	someUser  = 1234
	someGroup = 5678
)

// restricted is the pod as the Pod Security Standard of that name wants it, with a
// read-only root file system besides.
func restricted(pod *corev1.Pod) *corev1.Pod {
	user, group, yes, no := int64(someUser), int64(someGroup), true, false
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &group,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			containers[i].SecurityContext = &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}
		}
	}
	return pod
}

func TestRestrictedPodReadsByItsGroup(t *testing.T) {
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	s := beginIn(t, clustertest.Space{Labels: labels, Patience: patience})
	s.Run(restricted(withAgent(task("task", all(), "exec "+agentPath+" exec -- sleep 3600"))), await.IsReady)
	assert.Equal(t, s.product.entries.variables["region"], s.environment("task")["AIRFLOW_VAR_REGION"])
	assert.Equal(t, "1234\n", s.Exec("task", "id", "-u"))
	assert.Equal(t, "440 0 5678\n", s.Exec("task", "stat", "-L", "-c", "%a %u %g", mountPath+"/variables/region"))

	stranger := restricted(task("stranger", all(), stays))
	stranger.Spec.SecurityContext.FSGroup = nil
	s.Run(stranger, await.IsReady)
	_, err := s.TryExec("stranger", "cat", mountPath+"/variables/region")
	assert.ErrorContains(t, err, "Permission denied", "a user without the group reads nothing")
}

func TestVolumeIsInMemoryAndReadOnly(t *testing.T) {
	s := begin(t)
	pod := s.Run(task("task", all(), stays), await.IsReady)
	_, err := s.TryExec("task", "touch", mountPath+"/new")
	assert.ErrorContains(t, err, "Read-only file system", "even for root")
	// The container's own mount of it is made by the container runtime, which leaves the
	// other options to the node's.
	mount := strings.Fields(s.Exec("task", "grep", " "+mountPath+" ", "/proc/mounts"))
	assert.Equal(t, "tmpfs", mount[2])
	assert.Contains(t, strings.Split(mount[3], ","), "ro")
	onNode := strings.Fields(s.on(pod).shell("grep " + string(pod.UID) + ".*kubernetes.io~csi /proc/1/mountinfo"))
	for _, option := range []string{"nosuid", "nodev", "noexec"} {
		assert.Contains(t, strings.Split(onNode[5], ","), option)
	}
}
