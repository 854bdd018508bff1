package store_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxLines is what a source may have beside the calls of its store's SDK, or of what stands for one: more of it
// should be in package store, for all of them.
const maxLines = 200

// filesOf are those of the sources. Whatever else their packages have makes calls, and knows nothing of this package.
var filesOf = map[string][]string{
	"aws-secretsmanager": {"aws/store.go", "aws/words.go", "aws/options.go"},
	"aws-ssm":            {"aws/ssm.go", "aws/options.go"},
	"azure-keyvault":     {"azure/store.go"},
	"gcp-secretmanager":  {"gcp/store.go"},
	"vault":              {"vault/vault.go", "vault/entry.go"},
	"kubernetes, in the form of Airflow's own backend": {"kubernetes/airflow.go"},
}

// The source kubernetes is no store.Store: it watches, lists what a pod may list, and shares no call, since a Secret is read by
// each pod's own token. So it has what the others have in package store, beside the calls.
var (
	filesOfKubernetes = []string{
		"kubernetes/airflow.go", "kubernetes/convention.go", "kubernetes/kubernetes.go", "kubernetes/room.go", "kubernetes/rule.go",
	}
	callsOfKubernetes = []string{"kubernetes/client.go", "kubernetes/watch.go"}
)

// maxKubernetes is for all of filesOfKubernetes.
const maxKubernetes = 580

func TestASourceIsSmall(t *testing.T) {
	known := slices.Concat(filesOfKubernetes, callsOfKubernetes)
	hold := func(source string, files []string, most int) {
		lines := 0
		for _, file := range files {
			lines += linesOfCode(t, filepath.Join("..", file))
		}
		t.Logf("%s has %d lines", source, lines)
		assert.Positive(t, lines, source)
		assert.LessOrEqual(t, lines, most, source)
		known = append(known, files...)
	}
	for source, files := range filesOf {
		hold(source, files, maxLines)
	}
	hold("kubernetes", filesOfKubernetes, maxKubernetes)
	of, err := filepath.Glob("../kubernetes/*.go")
	require.NoError(t, err)
	for _, file := range of {
		name := strings.TrimPrefix(filepath.ToSlash(file), "../")
		assert.True(t, strings.HasSuffix(name, "_test.go") || slices.Contains(known, name), name+" is a source's: count it")
	}
	for _, name := range otherFiles(t, known) {
		assert.NotContains(t, read(t, filepath.Join("..", name)), `"github.com/leoflow/secrets-csi/internal/source/store"`, name+" is a source's: count it")
	}
}

// otherFiles are those beside this package that are not known.
func otherFiles(t *testing.T, known []string) (names []string) {
	t.Helper()
	for _, pattern := range []string{"../*/*.go", "../*/*/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			name := strings.TrimPrefix(filepath.ToSlash(file), "../")
			isOther := !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "cloudtest/")
			if isOther && !slices.Contains(known, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// linesOfCode are those that are neither blank nor a comment nor an import.
func linesOfCode(t *testing.T, file string) (lines int) {
	t.Helper()
	imports := false
	for line := range strings.Lines(read(t, file)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "//"):
		case line == "import (":
			imports = true
		case imports:
			imports = line != ")"
		default:
			lines++
		}
	}
	return lines
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(content)
}
