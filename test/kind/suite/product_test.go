package suite

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// product is the chart as the suite installs it.
type product struct {
	*chart.Release
	entries *entries
}

// installed is the one installation that all scenarios of a run share.
var installed = sync.OnceValues(func() (*product, error) {
	entries := plant()
	release, err := chart.Install(entries.all(), rules)
	return &product{release, entries}, err
})

// rotate gives "rotating" new values.
func (p *product) rotate(ctx context.Context) (variable, connection string, err error) {
	variable, connection = p.entries.rotate()
	return variable, connection, p.Store(ctx, p.entries.all())
}

// driver is the one on the node.
func (p *product) driver(ctx context.Context, node string) (corev1.Pod, error) {
	pods, err := p.Pods(ctx, "driver")
	if err != nil {
		return corev1.Pod{}, err
	}
	for _, pod := range pods {
		if pod.Spec.NodeName == node && pod.DeletionTimestamp == nil {
			return pod, nil
		}
	}
	return corev1.Pod{}, fmt.Errorf("node %s has no driver", node)
}
