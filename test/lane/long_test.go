package lane

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// longTests are the tests of the file that name package testlong. Whoever else names it is found too, and is no test.
func longTests(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, declared := range file.Decls {
		ast.Inspect(declared, func(node ast.Node) bool {
			if selected, ok := node.(*ast.SelectorExpr); ok {
				if of, ok := selected.X.(*ast.Ident); ok && of.Name == "testlong" {
					function, ok := declared.(*ast.FuncDecl)
					require.True(t, ok && strings.HasPrefix(function.Name.Name, "Test"),
						"%s: testlong is asked outside a test, so that test/long.sh cannot tell whose it is; give the number to what needs it", path)
					names = append(names, function.Name.Name)
				}
			}
			return true
		})
	}
	return names
}

// 'make test-long' runs what test/long.sh lists: a test that it left out would never be run at length.
func TestEveryLongTestIsListed(t *testing.T) {
	var want []string
	for _, room := range []string{"api", "cmd", "internal", "pkg", "python", "release", "test"} {
		require.NoError(t, filepath.WalkDir("../../"+room, func(path string, entry fs.DirEntry, err error) error {
			if entry.IsDir() && entry.Name() == "kind" { // whose number of rounds is for its own lane
				return filepath.SkipDir
			}
			if err == nil && strings.HasSuffix(path, "_test.go") {
				for _, name := range longTests(t, path) {
					want = append(want, "./"+strings.TrimPrefix(filepath.Dir(path), "../../")+" "+name)
				}
			}
			return err
		}))
	}
	slices.Sort(want)
	listed, stderr, code := said(t, "../long.sh")
	require.Zero(t, code, stderr)
	found := strings.Split(strings.TrimSpace(listed), "\n")
	slices.Sort(found)
	assert.Equal(t, slices.Compact(want), found)
}
