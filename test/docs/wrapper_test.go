package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/console"
)

// A pod of the quick start has a connection in its environment by at most twelve lines more than it
// has without.
func TestAnEnvironmentWithoutAWrapperTakesTwelveLines(t *testing.T) {
	const quickStart = "docs/guides/authors.md"
	document, err := console.Parse(quickStart, read(t, quickStart))
	require.NoError(t, err)
	for _, step := range document.Steps {
		if step.File != "unchanged.yaml" {
			continue
		}
		const bare = "apiVersion:|kind:|metadata:|spec:|  serviceAccountName:|  restartPolicy:|  containers:|  - name: task|    image: busybox|    command:"
		more := 0
		for line := range strings.Lines(step.Content) {
			if !strings.HasPrefix(line, "#") && !hasAnyPrefix(line, strings.Split(bare, "|")) {
				more++
			}
		}
		t.Logf("%d lines", more)
		assert.Greater(t, more, 5)
		assert.LessOrEqual(t, more, 12)
		return
	}
	require.Fail(t, quickStart+" has no unchanged.yaml")
}

func hasAnyPrefix(line string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
