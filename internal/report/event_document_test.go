package report

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDocumentOfEvents holds the table of the document to the constants.
func TestDocumentOfEvents(t *testing.T) {
	found := func(path, pattern string) (names []string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			names = append(names, match[1])
		}
		return names
	}
	reasons := found("event.go", `(?m)^\tEvent\w+ +EventReason = "(\w+)"$`)
	require.NotEmpty(t, reasons)
	assert.ElementsMatch(t, reasons, found("../../docs/events.md", "(?m)^\\| `(\\w+)` \\|"))
}
