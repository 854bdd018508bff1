package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Most networks look at a connection when its Service's address and port have become those
// of a pod, and those differ from cluster to cluster.
func TestNetworkPoliciesOpenThePortsBehindServices(t *testing.T) {
	files := mustRender(t, newest, readValues(t, `{networkPolicy: {enabled: true, apiServerPort: 16443}}`))
	for _, component := range []string{"-driver", "-core"} {
		open := map[int32]bool{}
		for _, rule := range find[*networkingv1.NetworkPolicy](t, files, "NetworkPolicy", component).Spec.Egress {
			for _, port := range rule.Ports {
				open[port.Port.IntVal] = true
			}
		}
		for _, port := range []int32{53, 5353, 443, 16443} {
			assert.True(t, open[port], "%s to %d", component, port)
		}
		assert.False(t, open[6443], component)
	}
}

// Without a word core is for the drivers alone, and may itself reach what it likes: where the API
// server listens differs from cluster to cluster.
func TestCoreIsForTheDriversByDefault(t *testing.T) {
	policy := find[*networkingv1.NetworkPolicy](t, mustRender(t, newest, nil), "NetworkPolicy", "-core").Spec
	assert.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, policy.PolicyTypes)
	assert.Len(t, policy.Ingress, 2)
	assert.Equal(t, "driver", policy.Ingress[0].From[0].PodSelector.MatchLabels["app.kubernetes.io/component"])
	assert.Equal(t, "grpc", policy.Ingress[0].Ports[0].Port.StrVal)
	assert.Equal(t, "metrics", policy.Ingress[1].Ports[0].Port.StrVal)
	assert.Empty(t, policy.Egress)
}

// One replica may always be evicted, or its node could never be drained.
func TestReplicasOfCoreAreSpreadAndEvictedOneByOne(t *testing.T) {
	files := mustRender(t, newest, readValues(t, `{referenceCore: {replicas: 3}}`))
	budget := find[*policyv1.PodDisruptionBudget](t, files, "PodDisruptionBudget", "-core").Spec
	core := find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec
	assert.Equal(t, 1, budget.MaxUnavailable.IntValue())
	assert.Equal(t, core.Selector, budget.Selector)
	assert.Equal(t, core.Selector, core.Template.Spec.TopologySpreadConstraints[0].LabelSelector)
	for _, content := range mustRender(t, newest, nil) {
		assert.NotContains(t, content, "PodDisruptionBudget")
	}
}

func TestNodesAreToldOfTheirOwnPodsAloneWhereThatIsSet(t *testing.T) {
	arguments := func(values string) []string {
		return find[*appsv1.Deployment](t, mustRender(t, newest, readValues(t, values)), "Deployment", "-core").Spec.Template.Spec.Containers[0].Args
	}
	assert.Contains(t, arguments(`{referenceCore: {scopedWatch: true}}`), "--scoped-watch")
	assert.NotContains(t, arguments(`{}`), "--scoped-watch")
}

// Core needs no privilege, and the drivers' namespace has to admit it.
func TestCoreMayBeInANamespaceOfItsOwn(t *testing.T) {
	files := mustRender(t, newest, readValues(t, `{referenceCore: {namespace: core}, networkPolicy: {enabled: true}, monitoring: {enabled: true}}`))
	for _, object := range []metav1.Object{
		find[*appsv1.Deployment](t, files, "Deployment", "-core"), find[*corev1.Service](t, files, "Service", "-core"),
		find[*corev1.Secret](t, files, "Secret", "-core-authority"), find[*corev1.Secret](t, files, "Secret", "-core-entries"),
		find[*corev1.ConfigMap](t, files, "ConfigMap", "-core-rules"), find[*corev1.ServiceAccount](t, files, "ServiceAccount", "-core"),
		find[*networkingv1.NetworkPolicy](t, files, "NetworkPolicy", "-core"),
	} {
		assert.Equal(t, "core", object.GetNamespace(), object.GetName())
	}
	assert.Equal(t, "leoflow-core.core.svc:7443", driverFlags(t, files)["core-address"])
	known := find[*corev1.ConfigMap](t, files, "ConfigMap", "-core-ca")
	assert.Equal(t, "secrets", known.Namespace, "where the drivers mount it")
	from := find[*networkingv1.NetworkPolicy](t, files, "NetworkPolicy", "-core").Spec.Ingress[0].From[0]
	assert.Equal(t, "secrets", from.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
}

func TestACoreApartNeedsACopyOfItsCA(t *testing.T) {
	tls := `tls: {source: secret, secretName: s}`
	_, err := render(t, newest, readValues(t, `{referenceCore: {namespace: core, `+tls+`}}`))
	assert.ErrorContains(t, err, "core.ca: needed with referenceCore.namespace")
	files := mustRender(t, newest, readValues(t, `{core: {ca: {configMapName: copy}}, referenceCore: {namespace: core, `+tls+`}}`))
	for _, volume := range find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver").Spec.Template.Spec.Volumes {
		if volume.Name == "core-ca" {
			assert.Equal(t, "copy", volume.ConfigMap.Name)
		}
	}
}
