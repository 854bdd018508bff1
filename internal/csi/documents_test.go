package csi

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var yamlBlock = regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```\n")

// What documents tell authors to write is what the driver takes.
func TestDocumentedVolumesAreAccepted(t *testing.T) {
	sources := []string{"core", "kubernetes", "file", "vault", "aws-secretsmanager", "aws-ssm", "azure-keyvault", "gcp-secretmanager"}
	found := 0
	for _, path := range slices.Concat(pagesIn(t, "docs/*.md"), pagesIn(t, "docs/*/*.md"), pagesIn(t, "examples/*.md"), pagesIn(t, "README.md")) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
			var content any
			require.NoError(t, yaml.Unmarshal(block[1], &content), "%s:\n%s", path, block[1])
			for _, volume := range ownVolumes(content) {
				_, err := parseAttributes(volume.Attributes, sources)
				assert.NoError(t, err, "%s: %v", path, volume.Attributes)
				assert.True(t, volume.ReadOnly, "%s: readOnly: true is needed", path)
				found++
			}
		}
	}
	assert.Greater(t, found, 10)
}

func pagesIn(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob("../../" + pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	return paths
}

type ownVolume struct {
	Driver     string
	ReadOnly   bool              `yaml:"readOnly"`
	Attributes map[string]string `yaml:"volumeAttributes"`
}

// ownVolumes are the driver's, wherever in the YAML they are.
func ownVolumes(content any) (found []ownVolume) {
	switch content := content.(type) {
	case map[string]any:
		if content["driver"] == Name {
			var volume ownVolume
			text, _ := yaml.Marshal(content) // it was read from YAML
			if yaml.Unmarshal(text, &volume) == nil {
				found = append(found, volume)
			}
		}
		for _, value := range content {
			found = append(found, ownVolumes(value)...)
		}
	case []any:
		for _, value := range content {
			found = append(found, ownVolumes(value)...)
		}
	}
	return found
}
