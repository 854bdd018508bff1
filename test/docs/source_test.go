package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// source are the parsed files that match the pattern, without tests.
func source(t *testing.T, pattern string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, pattern))
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	require.NotEmpty(t, files, pattern)
	return files
}

// constants are the literal values of constants whose names match, local ones too.
func constants(t *testing.T, pattern, name string) []string {
	t.Helper()
	named := regexp.MustCompile("^" + name + "$")
	found := map[string]bool{}
	visit(source(t, pattern), func(declaration *ast.GenDecl) {
		if declaration.Tok != token.CONST {
			return
		}
		for _, spec := range declaration.Specs {
			spec := spec.(*ast.ValueSpec)
			for i, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok && named.MatchString(spec.Names[i].Name) {
					found[unquoted(literal)] = true
				}
			}
		}
	})
	return slices.Sorted(maps.Keys(found))
}

// selected are the names that a package takes from another one, such as X of "codes.X".
func selected(t *testing.T, pattern, from string) []string {
	t.Helper()
	found := map[string]bool{}
	visit(source(t, pattern), func(selector *ast.SelectorExpr) {
		if of, ok := selector.X.(*ast.Ident); ok && of.Name == from {
			found[selector.Sel.Name] = true
		}
	})
	return slices.Sorted(maps.Keys(found))
}

// arguments are the texts that functions or methods of these names are called with, as
// the argument of that index.
func arguments(t *testing.T, pattern string, index int, names ...string) []string {
	t.Helper()
	found := map[string]bool{}
	visit(source(t, pattern), func(call *ast.CallExpr) {
		if !slices.Contains(names, nameOf(call.Fun)) || len(call.Args) <= index {
			return
		}
		if literal, ok := call.Args[index].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			found[unquoted(literal)] = true
		}
	})
	return slices.Sorted(maps.Keys(found))
}

func nameOf(function ast.Expr) string {
	switch function := function.(type) {
	case *ast.SelectorExpr:
		return function.Sel.Name
	case *ast.Ident:
		return function.Name
	}
	return ""
}

func visit[N ast.Node](files []*ast.File, see func(N)) {
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			if wanted, ok := node.(N); ok {
				see(wanted)
			}
			return true
		})
	}
}

func unquoted(literal *ast.BasicLit) string {
	if text, err := strconv.Unquote(literal.Value); err == nil {
		return text
	}
	return literal.Value
}

// jsonFields are the names that types have in JSON.
func jsonFields(types ...any) (names []string) {
	for _, value := range types {
		of := reflect.TypeOf(value)
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	return names
}

// column are the names in back-quotes in the first column of the table with that header,
// one of them in each document at most.
func column(document, header string) (names []string) {
	_, table, _ := strings.Cut(document, "\n"+header+"\n")
	for row := range strings.Lines(table) {
		if !strings.HasPrefix(row, "|") {
			break
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), " |")
		for _, match := range backQuoted.FindAllStringSubmatch(cell, -1) {
			names = append(names, match[1])
		}
	}
	return names
}

var backQuoted = regexp.MustCompile("`([^`\n]+)`")

// text is what is in the file.
func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}
