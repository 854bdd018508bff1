package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// rule is one alert of the chart.
type rule struct{ Alert, Expr string }

func rules(t *testing.T) []rule {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "charts", "leoflow-secrets-csi", "files", "alerts.yaml"))
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(content, &file))
	var all []rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

var (
	selectorText = regexp.MustCompile(`(leoflow_(?:csi|core)_\w+)(?:\{([^}]*)\})?`)
	matcherText  = regexp.MustCompile(`(\w+)(=~?)"([^"]*)"`)
)

// selector is what an expression asks for: a metric, and what its labels have to be.
type selector struct {
	text, metric string
	labels       map[string]*regexp.Regexp
}

// selectors are those of our metrics in the rule's expression.
func (r rule) selectors(t *testing.T) []selector {
	t.Helper()
	var all []selector
	for _, match := range selectorText.FindAllStringSubmatch(r.Expr, -1) {
		one := selector{text: match[0], metric: match[1], labels: map[string]*regexp.Regexp{}}
		for _, label := range matcherText.FindAllStringSubmatch(match[2], -1) {
			pattern := label[3]
			if label[2] == "=" {
				pattern = regexp.QuoteMeta(pattern)
			}
			one.labels[label[1]] = regexp.MustCompile("^(?:" + pattern + ")$")
		}
		all = append(all, one)
	}
	require.NotEmpty(t, all)
	return all
}

// selects tells whether the series, written as a page of metrics has it, is one of those
// asked for.
func (s selector) selects(series string) bool {
	metric, labels, _ := strings.Cut(series, "{")
	values := map[string]string{}
	for _, label := range matcherText.FindAllStringSubmatch(labels, -1) {
		values[label[1]] = label[3]
	}
	for name, pattern := range s.labels {
		if !pattern.MatchString(values[name]) {
			return false
		}
	}
	return metric == s.metric
}
