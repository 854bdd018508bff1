package docs

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"

	"github.com/leoflow/secrets-csi/internal/attribute"
	"github.com/leoflow/secrets-csi/internal/csi"
)

var (
	dataBlock = regexp.MustCompile("(?ms)^( *)```(yaml|json)\n(.*?)^ *```$")
	ofThePod  = []string{"containers", "initContainers", "serviceAccountName", "volumes"}
)

// TestEveryExampleIsWhatItSaysItIs reads the examples of all documents: data is well formed,
// pods and parts of pods are read with strict field validation, and volumes of ours ask by
// attributes that there are. Objects that other projects define are taken as they are.
func TestEveryExampleIsWhatItSaysItIs(t *testing.T) {
	pods := 0
	for path, text := range documents(t) {
		for _, match := range dataBlock.FindAllStringSubmatch(text, -1) {
			content := strings.ReplaceAll("\n"+match[3], "\n"+match[1], "\n")
			if match[2] == "json" {
				assertJSON(t, path, content)
				continue
			}
			var example any
			if !assert.NoError(t, yaml.Unmarshal([]byte(content), &example), "%s:%s", path, content) {
				continue
			}
			if spec := podIn(example); spec != nil {
				checkPod(t, fmt.Sprintf("%s:%s", path, content), spec)
				pods++
			}
		}
	}
	assert.Greater(t, pods, 10)
}

// assertJSON takes one value, or one a line, as logs are.
func assertJSON(t *testing.T, path, content string) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(content))
	for decoder.More() {
		var value any
		if !assert.NoError(t, decoder.Decode(&value), "%s:%s", path, content) {
			return
		}
	}
}

// podIn is the specification of a pod that the example is, or is a part of; nil if it is
// something else.
func podIn(example any) map[string]any {
	object, ok := example.(map[string]any)
	if !ok {
		return nil
	}
	if kind, ok := object["kind"]; ok && kind != "Pod" {
		return nil
	}
	if spec, ok := object["spec"].(map[string]any); ok {
		return spec
	}
	for key := range maps.Keys(object) {
		if !slices.Contains(ofThePod, key) {
			return nil
		}
	}
	return object
}

func checkPod(t *testing.T, at string, spec map[string]any) {
	t.Helper()
	manifest, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "spec": spec})
	require.NoError(t, err, at)
	for _, volume := range decode(t, at, manifest).(*corev1.Pod).Spec.Volumes {
		if volume.CSI == nil || volume.CSI.Driver != csi.Name {
			continue
		}
		assert.True(t, volume.CSI.ReadOnly != nil && *volume.CSI.ReadOnly, at)
		for name := range volume.CSI.VolumeAttributes {
			assert.Contains(t, attribute.Names(), name, at)
		}
	}
}
