package suite

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

const (
	csiDriver = "secrets.csi.leoflow.io"
	mountPath = "/var/run/leoflow/secrets"
	agentPath = "/leoflow/agent"
	stays     = "exec sleep 3600"
)

type attributes map[string]string

// all is everything that the default service account may read.
func all() attributes {
	return attributes{"connections": "warehouse, rotating", "variables": "region, batch.size, rotating"}
}

// task is a pod with a volume, whose container runs a shell script.
func task(name string, wants attributes, script string) *corev1.Pod {
	pod := clustertest.Script(name, script)
	readOnly := true
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name: "leoflow",
		VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{
			Driver: csiDriver, ReadOnly: &readOnly, VolumeAttributes: wants,
		}},
	})
	pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{
		Name: "leoflow", MountPath: mountPath, ReadOnly: true,
	})
	return pod
}

// withAgent gives the agent to a container whose image has nothing but a shell: an init
// container copies it into a shared directory.
func withAgent(pod *corev1.Pod) *corev1.Pod {
	shared := corev1.VolumeMount{Name: "agent", MountPath: "/leoflow"}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{
		Name: "agent", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
	})
	pod.Spec.InitContainers = append([]corev1.Container{{
		Name:            "agent",
		Image:           chart.Agent(),
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            []string{"install", "/leoflow"},
		VolumeMounts:    []corev1.VolumeMount{shared},
	}}, pod.Spec.InitContainers...)
	shared.ReadOnly = true
	pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, shared)
	return pod
}

// read is the content of a file in the pod's volume.
func (s *scenario) read(pod, file string) string {
	s.Helper()
	return s.Exec(pod, "cat", mountPath+"/"+file)
}

// environment is that of the pod's first process once the agent has become "sleep": the
// names that Airflow looks up.
func (s *scenario) environment(pod string) map[string]string {
	s.Helper()
	const script = `until read name </proc/1/comm && [ "$name" = sleep ]; do sleep 0.05; done; cat /proc/1/environ`
	found := map[string]string{}
	for variable := range strings.SplitSeq(s.Exec(pod, "/bin/sh", "-ec", script), "\x00") {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AIRFLOW_") {
			found[name] = value
		}
	}
	return found
}

func containsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
