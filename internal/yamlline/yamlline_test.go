package yamlline

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOf(t *testing.T) {
	for _, row := range []struct {
		content string
		line    int
		reason  string
	}{
		{"\ta: x: y", 1, "found character that cannot start any token"},
		{"a: %x\nb: c\n", 1, "found character that cannot start any token"},
		{"a: 1\nb: x: y\n", 2, "mapping values are not allowed in this context"},
		{"a: &x 1\nb: *x\nc: *y\nd: 1\n", 3, "an alias has no anchor; put text that begins with * in quotes"},
		{"a: 1\n---\nb: *y\nc: 1\n", 3, "an alias has no anchor; put text that begins with * in quotes"},
		{"a: 1\nb: 2\n\nc: \"\x01\"\nd: 3\n", 4, "control characters are not allowed"},
		{"a: 1\nb: " + strings.Repeat("[", 20_000) + "\nc: 1\n", 2, "exceeded max depth of 10000"},
	} {
		err := decode([]byte(row.content))
		line, reason := Of([]byte(row.content), err)
		assert.Equal(t, row.line, line, row.content)
		assert.Equal(t, row.reason, reason, row.content)
	}
}
