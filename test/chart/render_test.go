package chart

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const directory = "../../charts/leoflow-secrets-csi"

// cluster is what a release is rendered for.
type cluster struct {
	kubernetes string
	// release is the name of it, "leoflow" where empty; namespace where it is, "secrets".
	release, namespace string
	// apis are group versions beyond Kubernetes' own.
	apis []string
}

var newest = cluster{kubernetes: "v1.36.3"}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader.Load(directory)
	require.NoError(t, err)
	return loaded
}

// render does what helm install does before it speaks to the cluster.
func render(t *testing.T, c cluster, values map[string]any) (files map[string]string, err error) {
	t.Helper()
	version, err := chartutil.ParseKubeVersion(c.kubernetes)
	require.NoError(t, err)
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), c.apis...)
	loaded := load(t)
	release := chartutil.ReleaseOptions{Name: cmp.Or(c.release, "leoflow"), Namespace: cmp.Or(c.namespace, "secrets"), Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, values, release, capabilities)
	if err != nil {
		return nil, err
	}
	return engine.Render(loaded, all)
}

func mustRender(t *testing.T, c cluster, values map[string]any) map[string]string {
	t.Helper()
	files, err := render(t, c, values)
	require.NoError(t, err)
	return files
}

// manifests are the documents of the files, in the order of the files' names.
func manifests(files map[string]string) []string {
	var documents []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Ext(name) != ".yaml" {
			continue
		}
		for document := range strings.SplitSeq("\n"+files[name], "\n---\n") {
			if text := strings.TrimSpace(document); hasContent(text) {
				documents = append(documents, text+"\n")
			}
		}
	}
	return documents
}

func hasContent(document string) bool {
	for line := range strings.Lines(document) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

func readValues(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &values))
	return values
}

// decode reads a document as the API server would with strict field validation.
func decode(t *testing.T, document string) (runtime.Object, *schema.GroupVersionKind) {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	object, kind, err := decoder.Decode([]byte(document), nil, nil)
	require.NoError(t, err, document)
	return object, kind
}

// find returns the one object of the type T among the documents.
func find[T runtime.Object](t *testing.T, files map[string]string, kind, nameEnd string) T {
	t.Helper()
	for _, document := range manifests(files) {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &head))
		if head.Kind != kind || !strings.HasSuffix(head.Metadata.Name, nameEnd) {
			continue
		}
		object, _ := decode(t, document)
		return object.(T)
	}
	require.Fail(t, "there is no "+kind+" …"+nameEnd)
	panic("unreachable")
}
