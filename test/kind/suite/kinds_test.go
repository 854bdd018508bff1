package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// others are the kinds that the chart renders and that are not Kubernetes' own, in the
// Go modules of those whose they are. The sum is what go.sum would have.
var others = []struct{ module, sum, directory, file string }{
	{
		"github.com/cert-manager/cert-manager@v1.21.2", "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
		"deploy/crds", "cert-manager.io_certificates.yaml",
	},
	{
		"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
		"example/prometheus-operator-crd", "monitoring.coreos.com_podmonitors.yaml",
	},
	{
		"github.com/prometheus-operator/prometheus-operator@v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
		"example/prometheus-operator-crd", "monitoring.coreos.com_prometheusrules.yaml",
	},
}

// defineKinds makes the API server know those kinds until the end of the test. A cluster
// that knows one already keeps its own.
func (s *scenario) defineKinds() {
	s.Helper()
	client, err := dynamic.NewForConfig(s.Config)
	require.NoError(s, err)
	kinds := client.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	for _, other := range others {
		directory, err := moduleOf(s.Ctx, other.module, other.sum)
		require.NoError(s, err)
		content, err := os.ReadFile(filepath.Join(directory, other.directory, other.file))
		require.NoError(s, err)
		kind := &unstructured.Unstructured{}
		require.NoError(s, yaml.Unmarshal(content, kind))
		s.define(kinds, kind)
	}
}

func (s *scenario) define(kinds dynamic.ResourceInterface, kind *unstructured.Unstructured) {
	s.Helper()
	_, err := kinds.Create(s.Ctx, kind, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return
	}
	require.NoError(s, err)
	s.Cleanup(func() {
		// The test's own context is done by now.
		if err := kinds.Delete(context.Background(), kind.GetName(), metav1.DeleteOptions{}); err != nil {
			s.Errorf("deleting %s: %v", kind.GetName(), err)
		}
	})
	require.NoError(s, await.Until(s.Ctx, func() bool {
		found, err := kinds.Get(s.Ctx, kind.GetName(), metav1.GetOptions{})
		return err == nil && isEstablished(found)
	}))
}

// isEstablished holds for a definition whose kind is served.
func isEstablished(kind *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(kind.Object, "status", "conditions")
	for _, condition := range conditions {
		if fields, ok := condition.(map[string]any); ok && fields["type"] == "Established" {
			return fields["status"] == "True"
		}
	}
	return false
}

// moduleOf downloads a Go module, and returns its directory if it is the one that is meant.
func moduleOf(ctx context.Context, module, sum string) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	if err != nil {
		return "", fmt.Errorf("downloading %s: %w: %s", module, err, output)
	}
	var found struct{ Dir, Sum string }
	if err := json.Unmarshal(output, &found); err != nil {
		return "", err
	}
	if found.Sum != sum {
		return "", fmt.Errorf("module %s has the sum %s, not %s", module, found.Sum, sum)
	}
	return found.Dir, nil
}
