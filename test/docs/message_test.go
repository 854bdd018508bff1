package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// messageRow is a row of a table of errors, from "code | `message` |" on.
var messageRow = regexp.MustCompile("(?m)^\\| .* \\| `([A-Z]\\w+)` \\| `(.*)` \\| .* \\|$")

// TestEveryMessageIsOneThatTheDriverIsTestedFor looks in the driver's tests for each
// part of a documented message, parts being what stands between "…".
func TestEveryMessageIsOneThatTheDriverIsTestedFor(t *testing.T) {
	tested := literals(t, filepath.Join(root, "pkg/driver/*_test.go"))
	rows := messageRow.FindAllStringSubmatch(documents(t)[filepath.Join(root, "docs/volume.md")], -1)
	assert.Greater(t, len(rows), 20)
	for _, row := range rows {
		for part := range strings.SplitSeq(row[2], "…") {
			assert.Contains(t, tested, strings.TrimSpace(part))
		}
	}
}

// literals are the texts of all string literals in the files, a line each.
func literals(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	var all strings.Builder
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				all.WriteString(text + "\n")
			}
			return true
		})
	}
	return all.String()
}
