package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// helm-docs passes over a value that has no comment without a word.
func TestEveryValueIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(directory, "README.md"))
	require.NoError(t, err)
	documented := map[string]bool{}
	for row := range strings.Lines(string(text)) {
		cells := strings.Split(row, " | ")
		if len(cells) < 4 {
			continue
		}
		key := strings.TrimPrefix(cells[0], "| ")
		documented[key] = true
		assert.NotEmpty(t, strings.Trim(cells[3], " |\n"), "%s has no comment in values.yaml", key)
	}
	for _, key := range undocumented("", load(t).Values, documented) {
		assert.Fail(t, key+" is not in README.md; run: make generate")
	}
}

// undocumented are the values that neither stand in the table nor lie below one there.
func undocumented(above string, values map[string]any, documented map[string]bool) []string {
	var keys []string
	for name, value := range values {
		key := strings.TrimPrefix(above+"."+name, ".")
		if documented[key] {
			continue
		}
		if below, ok := value.(map[string]any); ok && len(below) > 0 {
			keys = append(keys, undocumented(key, below, documented)...)
			continue
		}
		keys = append(keys, key)
	}
	return keys
}
