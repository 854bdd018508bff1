// Package manual does what the documents say, as they say it, in the cluster that
// KUBECONFIG names: with the real kubectl and helm, from the documents' own text. It wants
// a cluster without the product, with the images of 'make e2e-image' loaded, and leaves it
// so.
package manual

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/console"
)

const (
	root = "../../.."
	// quickStart is what the README promises, on a machine that has built this before.
	quickStart = 5 * time.Minute
	// patience is how long one command may take.
	patience = 3 * time.Minute
)

func TestQuickStart(t *testing.T) {
	reader := arrive(t)
	document := reader.document("README.md")
	began := time.Now()
	reader.follow(document)
	took := time.Since(began)
	t.Logf("the quick start took %v", took.Round(time.Second))
	assert.Less(t, took, quickStart)
}

// TestEveryCommandRunsInACluster is about all documents that need one. Those that install
// the product begin without it; the others find it there.
func TestEveryCommandRunsInACluster(t *testing.T) {
	documents, err := console.Commanding(root)
	require.NoError(t, err)
	for _, document := range documents {
		if document.Path == "README.md" || !document.NeedsCluster() {
			continue
		}
		t.Run(document.Path, func(t *testing.T) {
			reader := arrive(t)
			if !document.Uses("helm install", "helm upgrade --install") {
				reader.install()
			}
			reader.follow(document)
		})
	}
}
