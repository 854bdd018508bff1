package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// modulesFile lists, a line each, Go modules that hold definitions of kinds which are not
// Kubernetes' own, and the sums that go.sum would have. kind.sh fetches them: there may be no
// network where the suite runs.
const modulesFile = "testdata/modules.txt"

// others are the files of those definitions that the chart renders kinds of.
var others = []struct{ module, file string }{
	{"github.com/cert-manager/cert-manager", "deploy/crds/cert-manager.io_certificates.yaml"},
	{"github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"},
	{"github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"},
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
		directory, err := moduleOf(s.Ctx, other.module)
		require.NoError(s, err)
		content, err := os.ReadFile(filepath.Join(directory, other.file))
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

// moduleOf returns the directory of a module that modulesFile lists.
func moduleOf(ctx context.Context, path string) (string, error) {
	list, err := os.ReadFile(modulesFile)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(list)) {
		if module, sum, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(module, path+"@") {
			return download(ctx, module, sum)
		}
	}
	return "", fmt.Errorf("%s does not list %s", modulesFile, path)
}

// download fetches a Go module, if it is not there, and returns its directory if its sum is
// the right one.
func download(ctx context.Context, module, sum string) (string, error) {
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
