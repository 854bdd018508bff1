package docs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/test/console"
)

// TestEveryPodIsOneThatKubernetesKnows reads the manifests as an API server does with
// strict field validation. What it refuses besides, such as a mount of no volume, is for
// the cluster's suite, and what the driver refuses for that package's own tests.
func TestEveryPodIsOneThatKubernetesKnows(t *testing.T) {
	document, err := console.Parse("docs/pods.md", read(t, "docs/pods.md"))
	require.NoError(t, err)
	pods := 0
	for _, step := range document.Steps {
		isInjected := strings.Contains(step.Content, csi.Name+"/connections:") // by the API server
		if !strings.HasSuffix(step.File, ".yaml") || isInjected {
			continue
		}
		for name, pod := range podsOf(t, step) {
			assert.True(t, hasVolume(pod), "%s: %s: no volume of %s that is read-only", step.At, name, csi.Name)
			pods++
		}
	}
	assert.GreaterOrEqual(t, pods, 9)
}

// podsOf are the specifications in a file: a pod's, a deployment's, or what values of the
// Airflow chart make of each kind of workers.
func podsOf(t *testing.T, step console.Step) map[string]corev1.PodSpec {
	t.Helper()
	if !strings.Contains(step.Content, "\napiVersion: ") {
		return airflowPods(t, step)
	}
	switch object := decode(t, step.At, []byte(step.Content)).(type) {
	case *corev1.Pod:
		return map[string]corev1.PodSpec{object.Name: object.Spec}
	case *appsv1.Deployment:
		return map[string]corev1.PodSpec{object.Name: object.Spec.Template.Spec}
	default:
		require.Fail(t, "an unexpected kind", "%s: %T", step.At, object)
		return nil
	}
}

func decode(t *testing.T, at string, manifest []byte) runtime.Object {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	object, _, err := decoder.Decode(manifest, nil, nil)
	require.NoError(t, err, at)
	return object
}

// airflowValues are those of Airflow's chart that the documents use. Its workers' values
// are parts of a pod under other names.
type airflowValues struct {
	Executor string
	Workers  map[string]struct {
		Command             []string
		ExtraInitContainers []any `yaml:"extraInitContainers"`
		ExtraVolumes        []any `yaml:"extraVolumes"`
		ExtraVolumeMounts   []any `yaml:"extraVolumeMounts"`
	}
}

func airflowPods(t *testing.T, step console.Step) map[string]corev1.PodSpec {
	t.Helper()
	var values airflowValues
	decoder := yaml.NewDecoder(strings.NewReader(step.Content))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&values), step.At)
	pods := map[string]corev1.PodSpec{}
	for kind, workers := range values.Workers {
		assert.Contains(t, []string{"celery", "kubernetes"}, kind, step.At)
		manifest, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "Pod", "spec": map[string]any{
				"initContainers": workers.ExtraInitContainers, "volumes": workers.ExtraVolumes,
				"containers": []any{map[string]any{
					"name": "base", "command": workers.Command, "volumeMounts": workers.ExtraVolumeMounts,
				}},
			},
		})
		require.NoError(t, err)
		pods[kind] = decode(t, step.At, manifest).(*corev1.Pod).Spec
	}
	return pods
}

func hasVolume(pod corev1.PodSpec) bool {
	for _, volume := range pod.Volumes {
		if inline := volume.CSI; inline != nil && inline.Driver == csi.Name {
			return inline.ReadOnly != nil && *inline.ReadOnly
		}
	}
	return false
}
