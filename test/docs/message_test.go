package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
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
	tested := strings.Join(literals(t, "internal/csi/*_test.go", "test/e2e/keyless_test.go"), "\n")
	rows := messageRow.FindAllStringSubmatch(documents(t)[filepath.Join(root, "docs/volume.md")], -1)
	assert.Greater(t, len(rows), 20)
	for _, row := range rows {
		for part := range strings.SplitSeq(row[2], "…") {
			assert.Contains(t, tested, strings.TrimSpace(part))
		}
	}
}

// literals are the texts of all string literals in the files.
func literals(t *testing.T, patterns ...string) (all []string) {
	t.Helper()
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			require.NoError(t, err)
			visit([]*ast.File{file}, func(literal *ast.BasicLit) { all = append(all, unquoted(literal)) })
		}
	}
	return all
}
