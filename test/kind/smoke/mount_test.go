package smoke

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// What the driver does: a tmpfs that one pod mounts beneath kubelet's directory has to
// show on the node, and so in other pods, and has to go when it is unmounted.
func TestBidirectionalMountReachesTheNode(t *testing.T) {
	c := connect(t)
	privileged := true
	mounter := withHostPath(clustertest.Script("mounter", `
		mkdir -p /host/tmpfs
		trap 'umount /host/tmpfs; rmdir /host/tmpfs; exit' TERM
		mount -t tmpfs tmpfs /host/tmpfs
		echo seen >/host/tmpfs/proof
		sleep 3600 & wait`), corev1.MountPropagationBidirectional, c.Namespace)
	mounter.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
	running := c.Run(mounter, await.IsReady)

	reader := withHostPath(clustertest.Script("reader", `
		until [ -s /host/tmpfs/proof ]; do sleep 0.1; done
		cat /host/tmpfs/proof
		grep -c ' /host/tmpfs tmpfs ' /proc/mounts`), corev1.MountPropagationHostToContainer, c.Namespace)
	reader.Spec.NodeName = running.Spec.NodeName
	assert.Equal(t, "seen\n1\n", c.Output(reader))
}

func withHostPath(pod *corev1.Pod, propagation corev1.MountPropagationMode, directory string) *corev1.Pod {
	create := corev1.HostPathDirectoryOrCreate
	pod.Spec.Volumes = []corev1.Volume{{
		Name: "host",
		VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{
			Path: "/var/lib/kubelet/" + directory, Type: &create,
		}},
	}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{
		Name: "host", MountPath: "/host", MountPropagation: &propagation,
	}}
	return pod
}
