package chart

import (
	"os"
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
