package chart

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Beside the driver, which has to be privileged, the fetcher has what Pod Security's level
// "restricted" admits, nothing of the node, and all of the tokens.
func TestTheFetcherHasNoRightOnTheNode(t *testing.T) {
	for name, where := range sets {
		pod := find[*appsv1.DaemonSet](t, mustRender(t, where, setValues(t, name)), "DaemonSet", "-driver").Spec.Template.Spec
		assert.False(t, *pod.AutomountServiceAccountToken)
		assert.False(t, pod.HostNetwork || pod.HostPID || pod.HostIPC)
		assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
		require.Equal(t, []string{"driver", "fetcher"}, []string{pod.Containers[0].Name, pod.Containers[1].Name})
		security := pod.Containers[1].SecurityContext
		assert.True(t, *security.RunAsNonRoot && *security.ReadOnlyRootFilesystem && *security.RunAsUser == 65532)
		assert.False(t, *security.AllowPrivilegeEscalation)
		assert.Nil(t, security.Privileged)
		assert.Equal(t, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}, security.Capabilities)
		kinds := map[string]corev1.VolumeSource{}
		for _, volume := range pod.Volumes {
			kinds[volume.Name] = volume.VolumeSource
		}
		for _, mount := range pod.Containers[1].VolumeMounts {
			assert.Nil(t, kinds[mount.Name].HostPath, mount.Name)
			assert.True(t, mount.ReadOnly, "%s: nothing that the driver needs to start is the fetcher's to take away", mount.Name)
		}
		isShm := func(mount corev1.VolumeMount) bool { return mount.MountPath == "/dev/shm" }
		assert.True(t, slices.ContainsFunc(pod.Containers[1].VolumeMounts, isShm), "the runtime's could be filled, and the driver's volumes would pay for it")
		for _, mount := range pod.Containers[0].VolumeMounts {
			assert.Nil(t, kinds[mount.Name].Projected, "the driver has no token")
			assert.Nil(t, kinds[mount.Name].Secret, "and no certificate")
		}
	}
}
