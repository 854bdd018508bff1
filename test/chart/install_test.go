package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// savedYAML is a block of a document that its reader saves as a file.
var savedYAML = regexp.MustCompile("(?s)```yaml\n# [a-z-]+\\.yaml\n(.*?)```")

// What the document has an admin write are values that the chart takes, and objects that
// Kubernetes knows.
func TestDocumentedValuesAreAccepted(t *testing.T) {
	text, err := os.ReadFile("../../docs/install.md")
	require.NoError(t, err)
	values, objects := 0, 0
	for _, block := range savedYAML.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(block[1], "apiVersion: ") {
			decode(t, block[1])
			objects++
			continue
		}
		files := mustRender(t, cluster{kubernetes: newest.kubernetes, namespace: "leoflow"}, readValues(t, block[1]))
		assert.NotEmpty(t, manifests(files))
		values++
	}
	assert.GreaterOrEqual(t, values, 3)
	assert.GreaterOrEqual(t, objects, 2)
}

var (
	// partOfRelease is what a document calls an object of the chart's core, leoflow-core-ca for instance.
	partOfRelease = regexp.MustCompile(`\bleoflow-(?:[a-z]+-)*core(?:-[a-z]+)*\b`)
	nameOfObject  = regexp.MustCompile(`(?m)^  name: (\S+)$`)
)

// In the documents the release is called leoflow, and its objects as the chart then calls them.
func TestDocumentsCallObjectsAsTheChartDoes(t *testing.T) {
	names := map[string]bool{"leoflow-core-certificate": true} // of charts from before core made its certificate
	for _, manifest := range manifests(mustRender(t, cluster{kubernetes: newest.kubernetes, namespace: "leoflow"}, nil)) {
		for _, name := range nameOfObject.FindAllStringSubmatch(manifest, -1) {
			names[name[1]] = true
		}
	}
	paths, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	found := 0
	for _, path := range append(paths, "../../README.md", "../../SECURITY.md", "../../docs/guides/admins.md") {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, name := range partOfRelease.FindAllString(string(text), -1) {
			found++
			assert.True(t, names[name], "%s: the chart makes no %s", path, name)
		}
	}
	assert.Greater(t, found, 10)
}
