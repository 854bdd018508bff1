package suite

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/csi/csitest"
	"github.com/leoflow/secrets-csi/test/kind/await"
)

// admit asks the API server, which makes nothing of it.
func (s *scenario) admit(pod *corev1.Pod) error {
	_, err := s.Client.CoreV1().Pods(s.Namespace).Create(s.Ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func (s *scenario) carrying(volume csitest.Volume) *corev1.Pod {
	pod := task("judged", volume.Attributes, stays)
	inline := pod.Spec.Volumes[0].CSI
	inline.ReadOnly, inline.FSType = volume.ReadOnly, volume.FSType
	return pod
}

func misspeltVolume() csitest.Volume {
	readOnly := true
	return csitest.Volume{ReadOnly: &readOnly, Attributes: attributes{"conections": "warehouse"}}
}

// What a person reads who applies what the driver would refuse, whatever makes the pod.
func TestMistakesAreToldAtApply(t *testing.T) {
	s := begin(t)
	readOnly, extended := true, "ext4"
	bad := misspeltVolume()
	// The policy is in force a moment after it was installed.
	require.NoError(t, await.Until(s.Ctx, func() bool { return s.admit(s.carrying(bad)) != nil }))
	for name, row := range map[string]struct {
		csitest.Volume
		message string
	}{
		"misspelt": {bad, "volumes[].csi.volumeAttributes.conections: is not an attribute; there are connections, variables, source, format, mode, refresh, keyless"},
		"readOnly": {csitest.Volume{Attributes: attributes{"connections": "a"}}, "volumes[].csi.readOnly: must be true; a pod cannot write to its secrets"},
		"fsType":   {csitest.Volume{FSType: &extended, ReadOnly: &readOnly, Attributes: attributes{"connections": "a"}}, `volumes[].csi.fsType: "ext4" cannot be had, secrets live on tmpfs only; leave the field out`},
		"nothing":  {csitest.Volume{ReadOnly: &readOnly}, `volumes[].csi.volumeAttributes: nothing is asked for; list ids under "connections" or "variables"`},
		"bad id":   {csitest.Volume{ReadOnly: &readOnly, Attributes: attributes{"connections": "a b"}}, `volumes[].csi.volumeAttributes.connections: checking conn_id: "a b": a character is not allowed`},
		"pasted":   {csitest.Volume{ReadOnly: &readOnly, Attributes: attributes{"connections": "postgres://u:n33dle@h"}}, "it looks like a connection; write its id"},
	} {
		pod := s.carrying(row.Volume)
		err := s.admit(pod)
		require.ErrorContains(t, err, row.message, name)
		assert.True(t, apierrors.IsInvalid(err), name)
		assert.NotContains(t, err.Error(), "n33dle")
		for kind, err := range s.admitTemplates(pod) {
			assert.ErrorContains(t, err, row.message, "%s in a %s", name, kind)
		}
	}
}

// admitTemplates asks of everything that makes pods.
func (s *scenario) admitTemplates(pod *corev1.Pod) map[string]error {
	template := corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: *pod.Spec.DeepCopy()}
	selector, meta := &metav1.LabelSelector{MatchLabels: pod.Labels}, metav1.ObjectMeta{Name: "judged"}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	apps, batch := s.Client.AppsV1(), s.Client.BatchV1()
	found := map[string]error{}
	job := batchv1.JobSpec{Template: template}
	_, found["Job"] = batch.Jobs(s.Namespace).Create(s.Ctx, &batchv1.Job{ObjectMeta: meta, Spec: job}, dry)
	_, found["CronJob"] = batch.CronJobs(s.Namespace).Create(s.Ctx, &batchv1.CronJob{ObjectMeta: meta, Spec: batchv1.CronJobSpec{
		Schedule: "0 0 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: job},
	}}, dry)
	template.Spec.RestartPolicy = corev1.RestartPolicyAlways
	_, found["Deployment"] = apps.Deployments(s.Namespace).Create(s.Ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}}, dry)
	_, found["StatefulSet"] = apps.StatefulSets(s.Namespace).Create(s.Ctx, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template}}, dry)
	_, found["DaemonSet"] = apps.DaemonSets(s.Namespace).Create(s.Ctx, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}, dry)
	return found
}

// A real API server refuses nothing that the driver would take.
func TestNothingIsRefusedAtApplyThatTheDriverAccepts(t *testing.T) {
	s := begin(t)
	r := rand.New(rand.NewPCG(3, 4))
	accepted, told := 0, 0
	for range 200 {
		volume := csitest.Fuzzed(r)
		err := s.admit(s.carrying(volume))
		switch {
		case volume.Check() == nil:
			accepted++
			require.NoError(t, err, fmt.Sprintf("%q", volume.Attributes))
		case err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy"):
			told++
		}
	}
	t.Logf("of 200 volumes the driver accepts %d, and %d are refused at apply", accepted, told)
	assert.Greater(t, accepted, 20)
	assert.Greater(t, told, 100)
}
