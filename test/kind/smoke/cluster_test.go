// Package smoke tests that a cluster can do what the product and its suite stand on,
// before either is blamed. It tests whatever cluster KUBECONFIG names; it needs
// the busybox image that kind.sh loads.
package smoke

import (
	"testing"
	"time"

	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// patience is for a machine that compiles something else meanwhile.
const patience = 2 * time.Minute

func connect(t *testing.T) *clustertest.Cluster {
	t.Helper()
	return clustertest.Connect(t, clustertest.Space{Prefix: "leoflow-smoke-", Patience: patience})
}
