package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/leoflow/secrets-csi/internal/kube/startuptaint"
)

const taintedNodes = "driver: {startupTaint: true}"

// Of a role's right to patch nodes there is left what the driver needs.
func TestADriverChangesOneTaintOfItsOwnNode(t *testing.T) {
	files := mustRender(t, newest, readValues(t, taintedNodes))
	j := newJudge(t, find[*admissionv1.ValidatingAdmissionPolicy](t, files, "ValidatingAdmissionPolicy", "nodes.secrets.csi.leoflow.io"), 30)
	driver := func(node ...string) user.Info {
		return &user.DefaultInfo{Name: "system:serviceaccount:secrets:leoflow-driver", Extra: map[string][]string{"authentication.kubernetes.io/node-name": node}}
	}
	ours, other := corev1.Taint{Key: startuptaint.Key, Effect: corev1.TaintEffectNoSchedule}, corev1.Taint{Key: "other", Effect: corev1.TaintEffectNoExecute}
	old := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "worker", Labels: map[string]string{"a": "b"}, ResourceVersion: "1"},
		Spec:       corev1.NodeSpec{PodCIDR: "10.0.0.0/24", PodCIDRs: []string{"10.0.0.0/24"}, ProviderID: "x", Taints: []corev1.Taint{other, ours}},
	}
	for name, row := range map[string]struct {
		change  func(*corev1.Node)
		who     user.Info
		message string
	}{
		"its taint":        {func(*corev1.Node) {}, driver("worker"), ""},
		"another's node":   {func(*corev1.Node) {}, driver("elsewhere"), "a driver changes its own node alone"},
		"of no node":       {func(*corev1.Node) {}, &user.DefaultInfo{Name: driver().GetName()}, "a driver changes its own node alone"},
		"another taint":    {func(n *corev1.Node) { n.Spec.Taints = nil }, driver("worker"), "a driver takes off the taint secrets.csi.leoflow.io/driver-not-ready, and changes nothing else"},
		"a new taint":      {func(n *corev1.Node) { n.Spec.Taints = append(n.Spec.Taints, ours) }, driver("worker"), "changes nothing else"},
		"cordons":          {func(n *corev1.Node) { n.Spec.Unschedulable = true }, driver("worker"), "changes nothing else"},
		"a label":          {func(n *corev1.Node) { n.Labels = map[string]string{"a": "c"} }, driver("worker"), "changes nothing else"},
		"takes labels":     {func(n *corev1.Node) { n.Labels = nil }, driver("worker"), "changes nothing else"},
		"an annotation":    {func(n *corev1.Node) { n.Annotations = map[string]string{"a": "b"} }, driver("worker"), "changes nothing else"},
		"the provider":     {func(n *corev1.Node) { n.Spec.ProviderID = "y" }, driver("worker"), "changes nothing else"},
		"an owner":         {func(n *corev1.Node) { n.OwnerReferences = []metav1.OwnerReference{{Name: "x"}} }, driver("worker"), "changes nothing else"},
		"a finalizer":      {func(n *corev1.Node) { n.Finalizers = []string{"x/y"} }, driver("worker"), "changes nothing else"},
		"who is no driver": {func(n *corev1.Node) { n.Labels = nil }, &user.DefaultInfo{Name: "admin"}, ""},
	} {
		changed := old.DeepCopy()
		changed.ResourceVersion, changed.Spec.Taints = "2", []corev1.Taint{other}
		row.change(changed)
		message := j.refusalOf(changed, old, row.who)
		if row.message == "" {
			assert.Empty(t, message, name)
		} else {
			assert.Contains(t, message, row.message, name)
		}
	}
}

func TestTheRightToPatchNodesComesWithWhatNarrowsIt(t *testing.T) {
	files := mustRender(t, newest, readValues(t, taintedNodes))
	right := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch"}}
	assert.Contains(t, find[*rbacv1.ClusterRole](t, files, "ClusterRole", "leoflow-driver-secrets").Rules, right)
	pod := find[*appsv1.DaemonSet](t, files, "DaemonSet", "leoflow-driver").Spec.Template.Spec
	assert.Contains(t, pod.Containers[1].Args, "--startup-taint")
	assert.False(t, *pod.AutomountServiceAccountToken)
	assert.Contains(t, pod.Containers[1].VolumeMounts, corev1.VolumeMount{Name: "kubernetes", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true})
	binding := find[*admissionv1.ValidatingAdmissionPolicyBinding](t, files, "ValidatingAdmissionPolicyBinding", "nodes.secrets.csi.leoflow.io")
	assert.Equal(t, []admissionv1.ValidationAction{admissionv1.Deny}, binding.Spec.ValidationActions)
	policy := find[*admissionv1.ValidatingAdmissionPolicy](t, files, "ValidatingAdmissionPolicy", binding.Spec.PolicyName)
	assert.Equal(t, admissionv1.Fail, *policy.Spec.FailurePolicy)

	_, err := render(t, cluster{kubernetes: "v1.29.0"}, readValues(t, taintedNodes))
	assert.ErrorContains(t, err, "driver.startupTaint: needs Kubernetes 1.30")
	for _, document := range manifests(mustRender(t, newest, nil)) {
		assert.NotContains(t, document, "driver-not-ready")
	}
}
