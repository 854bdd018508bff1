package docs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryMessageOfAReferenceIsTheCodes looks up what docs/connections.md says that the
// failure of a reference reads like.
func TestEveryMessageOfAReferenceIsTheCodes(t *testing.T) {
	code := codeOf(t, "pkg/provider/*.go", "pkg/provider/call/*.go", "internal/source/*/*.go", "internal/policy/*.go", "internal/kube/*.go")
	_, section, found := strings.Cut(documents(t)[filepath.Join(root, "docs/connections.md")], "### When a reference fails")
	require.True(t, found)
	table, _, _ := strings.Cut(section, "\n## ")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, message := range quoted.FindAllStringSubmatch(cells[1], -1) {
			assert.Contains(t, code, strings.Trim(message[1], "()"), line)
			rows++
		}
	}
	assert.Greater(t, rows, 10)
}
