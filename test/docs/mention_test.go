package docs

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// mention is a kind of name that prose speaks of, wherever it does.
type mention struct {
	what    string
	pattern *regexp.Regexp // whose first group is the name
	known   map[string]bool
}

func mentions(t *testing.T) []mention {
	t.Helper()
	flags, twins := flagsOfAll(t)
	return []mention{
		{"flag", regexp.MustCompile("`(--[a-z][a-z0-9-]*)(?:[= ][^`]*)?`"), flags},
		{"environment variable", regexp.MustCompile(`\b(LEOFLOW_[A-Z0-9_]+)\b`), twins},
		{"metric", regexp.MustCompile(`\b(leoflow_csi_\w+)\b`), anyMetricNames(t)},
		{"value of the chart", regexp.MustCompile("`((?:" + strings.Join(topValues(t), "|") + `)\.[A-Za-z.]+)(?:=[^` + "`" + "]*)?`"), chartValues(t)},
		{"attribute of a volume", regexp.MustCompile(`volumeAttributes: *(?:#.*)?(?:\{|\n +)(?:[a-z]+: [^}\n]*[,\n] *)*?([a-z]+): `), attributeNames(t)},
	}
}

// foreign are flags of others' programs.
var foreign = []string{
	"--root-dir",           // kubelet
	"--env-file",           // docker
	"--state",              // the cluster of test/kind
	"--sign", "--annotate", // git
	"--set", "--reuse-values", // helm
	"--reset-then-reuse-values",
}

// flagsOfAll are the flags of all programs, and their environment twins.
func flagsOfAll(t *testing.T) (flags, twins map[string]bool) {
	t.Helper()
	flags, twins = map[string]bool{"--help": true, "--version": true}, map[string]bool{}
	for _, help := range helpOfAll(t) {
		for _, match := range regexp.MustCompile(`(?m)^  --([a-z0-9-]+).*\(LEOFLOW_`).FindAllStringSubmatch(help, -1) {
			flags["--"+match[1]] = true
			twins[cli.EnvName(match[1])] = true
		}
	}
	require.Greater(t, len(flags), 60)
	for _, name := range foreign {
		flags[name] = true
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
	for _, match := range documentedMetric.FindAllStringSubmatch(text(t, root+"/docs/metrics.md"), -1) {
		names[match[1]] = true
	}
	return names
}

func attributeNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, name := range constants(t, "pkg/driver/*.go", `\w+Attribute`) {
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

// strangers are the names in the text that nothing has.
func (m mention) strangers(text string) (names []string) {
	for _, match := range m.pattern.FindAllStringSubmatch(text, -1) {
		if !m.known[match[1]] {
			names = append(names, match[1])
		}
	}
	return names
}

func TestEveryNameThatProseSpeaksOfExists(t *testing.T) {
	documents := documents(t)
	for _, mention := range mentions(t) {
		for path, text := range documents {
			if strings.Contains(path, "/adr/") { // told of what was
				continue
			}
			assert.Empty(t, mention.strangers(text), "%s: there is no such %s", path, mention.what)
		}
	}
}

func TestAnInventedNameIsNoticed(t *testing.T) {
	invented := map[string]string{
		"flag": "`--invented`, `--invented=5s`", "environment variable": "LEOFLOW_INVENTED", "metric": "leoflow_csi_invented_total",
		"value of the chart": "`driver.invented`, `driver.invented=1`", "attribute of a volume": "volumeAttributes: {invented: all}",
	}
	for _, mention := range mentions(t) {
		assert.NotEmpty(t, mention.strangers(invented[mention.what]), mention.what)
	}
}

func TestEveryKeyFromTheEnvironmentIsDocumented(t *testing.T) {
	var all strings.Builder
	for _, text := range documents(t) {
		all.WriteString(text)
	}
	names := keysFromEnvironment(t)
	require.NotEmpty(t, names)
	for _, name := range names {
		assert.True(t, strings.Contains(all.String(), "`"+name+"`"), "no document names %s", name)
	}
}
