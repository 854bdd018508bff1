package suite

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// api has the API server judge manifests as if they were applied.
type api struct {
	*scenario
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

func (s *scenario) api() api {
	s.Helper()
	client, err := dynamic.NewForConfig(s.Config)
	require.NoError(s, err)
	return api{s, client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(s.Client.Discovery()))}
}

// judge is a dry run on the server, with strict field validation. What belongs to a
// namespace comes into that of the test.
func (a api) judge(manifest string) error {
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(manifest), object); err != nil {
		return err
	}
	kind := object.GroupVersionKind()
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = a.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		object.SetNamespace(a.Namespace)
		resource = a.client.Resource(mapping.Resource).Namespace(a.Namespace)
	}
	content, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	_, err = resource.Patch(a.Ctx, object.GetName(), types.ApplyPatchType, content, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, Force: &force, FieldManager: "suite", FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

// Everything that the chart renders for the installations that people make.
func TestRenderingsAreAccepted(t *testing.T) {
	s := begin(t)
	s.defineKinds()
	a := s.api()
	paths, err := filepath.Glob("../../chart/testdata/*.golden.yaml")
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for manifest := range strings.SplitSeq(string(text), "\n---\n") {
			assert.NoError(t, a.judge(manifest), "%s:\n%s", path, manifest)
			kinds[kindOf(t, manifest)]++
		}
	}
	t.Logf("accepted of %d renderings: %v", len(paths), kinds)
	for _, kind := range []string{"DaemonSet", "CSIDriver", "PodMonitor", "PrometheusRule", "Certificate"} {
		assert.Contains(t, slices.Collect(maps.Keys(kinds)), kind)
	}
	assert.ErrorContains(t, a.judge(misspelt), "autmountServiceAccountToken", "what is wrong is refused")
}

const misspelt = `{apiVersion: v1, kind: ServiceAccount, metadata: {name: any}, autmountServiceAccountToken: false}`

func kindOf(t *testing.T, manifest string) string {
	t.Helper()
	var head struct{ Kind string }
	require.NoError(t, yaml.Unmarshal([]byte(manifest), &head))
	return head.Kind
}
