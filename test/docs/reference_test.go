package docs

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// reference is names in the code, and the table that has to have these and no others.
type reference struct {
	what             string
	code             []string
	document, header string
	// beside are names that the code has and the table need not have.
	beside []string
}

func references(t *testing.T) []reference {
	t.Helper()
	return []reference{
		{what: "attribute of a volume", code: constants(t, "internal/attribute/attribute.go", `[A-Z]\w+`),
			document: "docs/volume.md", header: "| attribute | default | meaning |\n|---|---|---|"},
		{what: "field of the manifest", code: manifestFields(),
			document: "docs/volume.md", header: "| field | meaning |\n|---|---|"},
		{what: "notice", code: notices(t),
			document: "docs/volume.md", header: "| notice | from | meaning |\n|---|---|---|"},
		{what: "reason of an event", code: constants(t, "internal/report/event.go", `Event\w+`),
			document: "docs/events.md", header: "| reason | what happened | what to do |\n|---|---|---|"},
		{what: "gRPC code", code: kubeletCodes(t),
			document: "docs/driver.md", header: "| code | whose turn it is | kubelet |\n|---|---|---|"},
		{what: "log line", code: logLines(t), beside: literals(t, loggingPackages...),
			document: "docs/driver.md", header: "| log line | level | meaning |\n|---|---|---|"},
		{what: "check of the doctor", code: doctorChecks(t),
			document: "docs/driver.md", header: "| check | what it looks at |\n|---|---|"},
		{what: "exit code of the driver", code: exitCodes(t), document: "docs/driver.md", header: exitTable},
		{what: "exit code of core", code: append(exitCodes(t), constants(t, "cmd/core/*.go", `exit\w+`)...), document: "docs/core.md", header: exitTable},
		{what: "exit code of the agent", code: append(exitCodes(t), constants(t, "pkg/envshim/*.go", `exit\w+`)...),
			document: "docs/agent.md", header: exitTable},
	}
}

const exitTable = "| exit code | meaning |\n|---|---|"

// exitCodes are those of every program.
func exitCodes(t *testing.T) []string { return constants(t, "internal/cli/cli.go", `\w+`) }

// TestExitCodesHaveNames lets the tables know of all: a bare number would be in none.
func TestExitCodesHaveNames(t *testing.T) {
	for _, pattern := range []string{"cmd/*/*.go", "internal/cli/*.go", "pkg/envshim/*.go"} {
		visit(source(t, pattern), func(made *ast.CompositeLit) {
			if of := nameOf(made.Type); of != "ExitError" && of != "StartError" {
				return
			}
			ast.Inspect(made, func(node ast.Node) bool {
				literal, ok := node.(*ast.BasicLit)
				assert.False(t, ok && literal.Kind == token.INT, "%s: an exit code without a name", pattern)
				return true
			})
		})
	}
}

func manifestFields() []string {
	fields := jsonFields(layout.Manifest{}, layout.Entry{}, layout.Grade{}, layout.Held{}, layout.Notice{}, layout.Identity{}, layout.IdentityVariable{})
	slices.Sort(fields)
	return slices.Compact(fields)
}

// notices are those of the policy, of rendering, of what cannot be had and of the agent.
func notices(t *testing.T) []string {
	return slices.Concat(
		constants(t, "internal/policy/notice.go", `\w+`), arguments(t, "internal/fetch/render/*.go", 0, "Remark"),
		[]string{string(layout.Missing), string(layout.Denied), string(layout.Invalid), string(layout.Unavailable)},
		constants(t, "pkg/envshim/*.go", `notice\w+`), constants(t, "pkg/mount/layout/layout.go", `Notice\w+`))
}

// kubeletCodes are those that a publish may fail with. What kubelet gave up it does not
// hear, and what it never calls needs no row.
func kubeletCodes(t *testing.T) []string {
	return without(selected(t, "internal/csi/*.go", "codes"), "Code", "OK", "Canceled", "Unimplemented")
}

func doctorChecks(t *testing.T) []string {
	return append(constants(t, "internal/doctor/*.go", "name"), arguments(t, "internal/doctor/*.go", 0, "dates", "fine", "failed")...)
}

// loggingPackages write the driver's log.
var loggingPackages = []string{
	"cmd/driver/*.go", "cmd/fetcher/*.go", "internal/daemon/*.go", "internal/unixsocket/*.go", "internal/seam/wire/*.go", "internal/csi/*.go", "internal/deliver/*.go", "internal/fetch/*.go", "internal/source/core/*.go",
	"internal/source/file/*.go", "internal/source/kubernetes/*.go", "internal/filewatch/*.go", "internal/kube/*.go", "internal/report/*.go",
}

func logLines(t *testing.T) (lines []string) {
	for _, pattern := range loggingPackages {
		lines = append(lines, arguments(t, pattern, 0, "Debug", "Info", "Warn", "Error")...)
		lines = append(lines, arguments(t, pattern, 1, "DebugContext", "InfoContext", "WarnContext", "ErrorContext")...)
		lines = append(lines, arguments(t, pattern, 2, "Log", "LogAttrs")...)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// differences are the names that the document lacks, and those that the code does not have.
func (r reference) differences(documents map[string]string) (missing, unknown []string) {
	documented := column(documents[filepath.Join(root, r.document)], r.header)
	return without(r.code, documented...), without(documented, append(r.beside, r.code...)...)
}

func without(names []string, others ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}

func TestEveryNameOfTheCodeIsInItsTableAndTheReverse(t *testing.T) {
	documents := documents(t)
	for _, r := range references(t) {
		require.NotEmpty(t, r.code, r.what)
		missing, unknown := r.differences(documents)
		assert.Empty(t, missing, "%s: no row for this %s", r.document, r.what)
		assert.Empty(t, unknown, "%s: the code has no such %s", r.document, r.what)
	}
}

// TestAnOmissionIsNoticed plants one in every table, and a name that is not in the code.
func TestAnOmissionIsNoticed(t *testing.T) {
	documents := documents(t)
	for _, r := range references(t) {
		path := filepath.Join(root, r.document)
		sound := documents[path]
		table, rest, _ := strings.Cut(sound, r.header)
		documents[path] = table + r.header + strings.ReplaceAll(rest, "`"+r.code[0]+"`", "`invented`")
		missing, unknown := r.differences(documents)
		assert.Equal(t, []string{r.code[0]}, missing, r.what)
		assert.Equal(t, []string{"invented"}, slices.Compact(unknown), r.what)
		documents[path] = sound
	}
}
