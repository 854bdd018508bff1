package chart

import (
	"testing"

	"github.com/stretchr/testify/assert"
	networkingv1 "k8s.io/api/networking/v1"
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
