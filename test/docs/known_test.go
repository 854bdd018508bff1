package docs

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// foreign are flags of others' programs.
var foreign = map[string][]string{
	"kubelet":           {"--root-dir", "--register-with-taints"},
	"docker":            {"--env-file", "--tmpfs"},
	"git":               {"--sign", "--annotate"},
	"kubectl":           {"--from-file", "--from-literal", "--server-side"},
	"helm":              {"--set", "--values", "--namespace", "--logs", "--api-versions", "--reuse-values", "--reset-then-reuse-values", "--no-hooks", "--timeout"},
	"a Dockerfile":      {"--from"},
	"uv":                {"--override"},
	"test/kind/kind.sh": {"--check", "--load", "--workers"},
}

// foreignNames are states, events and objects of others.
var foreignNames = []string{
	"ContainerCreating", "CreateContainerConfigError", "FailedMount", "ImagePullBackOff", // kubelet
	"AirflowNotFoundException", // Airflow
	"SecretProviderClass",      // the Secrets Store CSI driver
}

// flagsOfAll are the flags of all programs, and their environment twins.
func flagsOfAll(t *testing.T) (flags, twins map[string]bool) {
	t.Helper()
	flags, twins = map[string]bool{"--help": true, "--version": true}, map[string]bool{}
	for _, help := range helpOfAll(t) {
		for _, match := range flagInHelp.FindAllStringSubmatch(help, -1) {
			flags["--"+match[1]] = true
			twins[match[2]] = true
		}
	}
	require.Greater(t, len(flags), 60)
	for _, names := range foreign {
		for _, name := range names {
			flags[name] = true
		}
	}
	for name := range settingsOfTests(t) {
		twins[name] = true
	}
	for _, name := range keysFromEnvironment(t) {
		twins[name] = true
	}
	return flags, twins
}

// keysFromEnvironment are variables without a flag: what every user may read holds no key.
func keysFromEnvironment(t *testing.T) (names []string) {
	t.Helper()
	variable := regexp.MustCompile(`^LEOFLOW_[A-Z_]+$`)
	visit(source(t, "cmd/*/*.go"), func(literal *ast.BasicLit) {
		if name := unquoted(literal); variable.MatchString(name) {
			names = append(names, name)
		}
	})
	return names
}

// settingsOfTests are the variables that the suite of test/kind and its programs read.
func settingsOfTests(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	variable := regexp.MustCompile(`LEOFLOW_[A-Z_]+`)
	err := filepath.WalkDir(filepath.Join(root, "test", "kind"), func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".sh" {
			return err
		}
		for _, name := range variable.FindAllString(text(t, path), -1) {
			found[name] = true
		}
		return nil
	})
	require.NoError(t, err)
	return found
}

// anyMetricNames are those of queries, and the names of histograms themselves.
func anyMetricNames(t *testing.T) map[string]bool {
	t.Helper()
	names := metricNames(t)
	for _, match := range documentedMetric.FindAllStringSubmatch(documentedMetrics(t), -1) {
		names[match[1]] = true
	}
	return names
}

// wordsOfCode are all words of our code and chart that have several capitals.
func wordsOfCode(t *testing.T) map[string]bool {
	t.Helper()
	words := map[string]bool{}
	for _, name := range foreignNames {
		words[name] = true
	}
	several := regexp.MustCompile(`\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b`)
	for _, directory := range []string{"api", "charts", "cmd", "internal", "pkg", "python", "test/chart", "test/e2e", "test/fault", "test/kind", "test/memory"} {
		err := filepath.WalkDir(filepath.Join(root, directory), func(path string, _ os.DirEntry, err error) error {
			if extension := filepath.Ext(path); err != nil || !slices.Contains([]string{".go", ".py", ".yaml", ".tpl", ".proto"}, extension) {
				return err
			}
			for _, word := range several.FindAllString(text(t, path), -1) {
				words[word] = true
			}
			return nil
		})
		require.NoError(t, err)
	}
	return words
}

func attributeNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, name := range constants(t, "internal/attribute/attribute.go", `[A-Z]\w+`) {
		names[name] = true
	}
	return names
}

func valuesOfChart(t *testing.T) map[string]any {
	t.Helper()
	var values map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text(t, root+"/charts/leoflow-secrets-csi/values.yaml")), &values))
	return values
}

func topValues(t *testing.T) (names []string) {
	t.Helper()
	for name, value := range valuesOfChart(t) {
		if _, ok := value.(map[string]any); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// chartValues are the paths of all values, as --set takes them.
func chartValues(t *testing.T) map[string]bool {
	t.Helper()
	paths := map[string]bool{}
	var add func(above string, values map[string]any)
	add = func(above string, values map[string]any) {
		for name, value := range values {
			paths[above+name] = true
			if below, ok := value.(map[string]any); ok {
				add(above+name+".", below)
			}
		}
	}
	add("", valuesOfChart(t))
	return paths
}
