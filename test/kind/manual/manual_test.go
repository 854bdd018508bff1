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
	bareCluster(t)
	reader := sitDown(t)
	began := time.Now()
	reader.follow("README.md")
	took := time.Since(began)
	t.Logf("the quick start took %v", took.Round(time.Second))
	assert.Less(t, took, quickStart)
}

// TestEveryCommandRuns is about all documents that need a cluster. Those that install the
// product begin without it; the others find it there.
func TestEveryCommandRuns(t *testing.T) {
	documents, err := console.Commanding(root)
	require.NoError(t, err)
	var others []string
	for _, document := range documents {
		switch {
		case document.Path == "README.md" || !document.NeedsCluster():
		case document.Uses("helm install", "helm upgrade --install"):
			t.Run(document.Path, func(t *testing.T) {
				bareCluster(t)
				sitDown(t).follow(document.Path)
			})
		default:
			others = append(others, document.Path)
		}
	}
	bareCluster(t)
	sitDown(t).install()
	for _, path := range others {
		t.Run(path, func(t *testing.T) { sitDown(t).follow(path) })
	}
}
