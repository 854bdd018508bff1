package suite

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// rotate returns the new values.
func (s *scenario) rotate() (variable, connection string) {
	s.Helper()
	variable, connection, err := s.product.rotate(s.Ctx)
	require.NoError(s, err)
	return variable, connection
}

// awaitFile returns once the pod reads the value there. The pod is told a hash, and so
// the value goes nowhere that it does not belong.
func (s *scenario) awaitFile(pod, path, value string) {
	s.Helper()
	s.Exec(pod, "/bin/sh", "-ec", `until sha256sum <"$0" | grep -q "$1"; do sleep 0.1; done`, path, hash(value))
}

func (s *scenario) awaitVariable(pod, value string) {
	s.Helper()
	s.awaitFile(pod, mountPath+"/variables/rotating", value)
}

func hash(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

func TestRotationReachesFileAndProgram(t *testing.T) {
	s := begin(t)
	wants := attributes{"connections": "rotating", "variables": "rotating"}
	// A program that is given the environment anew, and one that is told to read again.
	restarted := agentPath + ` exec --on-rotate=restart -- sh -c 'printf %s "$AIRFLOW_VAR_ROTATING" >/seen/value; exec sleep 3600'`
	signalled := agentPath + ` exec --on-rotate=signal:HUP -- sh -c '
		look() { cat ` + mountPath + `/variables/rotating >/seen/value; }
		trap look HUP; look
		while :; do sleep 3600 & wait; done'`
	s.Create(task("reads", wants, stays))
	s.Create(withMemory(withAgent(task("restarted", wants, "exec "+restarted))))
	s.Create(withMemory(withAgent(task("signalled", wants, "exec "+signalled))))
	before := s.product.entries.variables["rotating"]
	for _, name := range []string{"reads", "restarted", "signalled"} {
		s.Await(name, await.IsReady)
	}
	s.awaitFile("restarted", "/seen/value", before)
	s.awaitFile("signalled", "/seen/value", before)

	variable, connection := s.rotate()
	s.awaitVariable("reads", variable)
	assert.Equal(t, connection, s.read("reads", "connections/rotating"), "one generation has both")
	assert.Equal(t, 2, s.manifest("reads").Generation)
	s.awaitFile("restarted", "/seen/value", variable)
	s.awaitFile("signalled", "/seen/value", variable)
	for _, name := range []string{"restarted", "signalled"} {
		pod := s.Await(name, await.IsReady)
		assert.Zero(t, pod.Status.ContainerStatuses[0].RestartCount, "the container of %s stays", name)
	}
}

// Kubelet binds a subPath when the container starts, and never again.
func TestRotationTellsOfASubPathThatItDoesNotReach(t *testing.T) {
	s := begin(t)
	pod := task("parts", attributes{"connections": "rotating", "variables": "rotating"}, stays)
	main := &pod.Spec.Containers[0]
	for path, at := range map[string]string{"airflow": "/directory", "variables/rotating": "/file"} {
		main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: "leoflow", MountPath: at, SubPath: path, ReadOnly: true})
	}
	s.Run(pod, await.IsReady)
	assert.Contains(t, s.Exec("parts", "ls", "/directory"), "connections.json")
	before := s.Exec("parts", "sha256sum", "/file")

	variable, _ := s.rotate()
	s.awaitVariable("parts", variable)
	message := s.event("parts", `mounted by subPath in container "main"`, "mount the volume whole")
	t.Log(message)
	assert.Empty(t, s.Exec("parts", "ls", "/directory"), "as docs/events.md says")
	assert.Equal(t, before, s.Exec("parts", "sha256sum", "/file"))
}

// withMemory gives the pod a place for what it has seen, which is on no disk.
func withMemory(pod *corev1.Pod) *corev1.Pod {
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name: "seen", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}},
	})
	main := &pod.Spec.Containers[0]
	main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: "seen", MountPath: "/seen"})
	return pod
}
