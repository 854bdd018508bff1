package docs

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	alertsFile    = root + "/charts/leoflow-secrets-csi/files/alerts.yaml"
	dashboardFile = root + "/charts/leoflow-secrets-csi/files/dashboard.json"
	alertTests    = root + "/test/alert/alerts.test.yaml"
)

var (
	documentedMetric = regexp.MustCompile("(?m)^\\| `(leoflow_(?:csi|core)_\\w+)` \\| (\\w+) \\|")
	usedMetric       = regexp.MustCompile(`leoflow_(?:csi|core)_\w+`)
	alertName        = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	runbookSection   = regexp.MustCompile(`(?m)^## (Leoflow\w+)$`)
)

// documentedMetrics are the pages of the driver's and of core's.
func documentedMetrics(t *testing.T) string {
	return text(t, root+"/docs/metrics.md") + text(t, root+"/docs/core-metrics.md")
}

// metricNames are all names that a query may use, those of a histogram's parts too.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, match := range documentedMetric.FindAllStringSubmatch(documentedMetrics(t), -1) {
		if match[2] != "histogram" {
			names[match[1]] = true
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			names[match[1]+part] = true
		}
	}
	require.Greater(t, len(names), 20)
	return names
}

func TestEveryPanelAndAlertNamesMetricsThatExist(t *testing.T) {
	names := metricNames(t)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text(t, dashboardFile)), &dashboard))
	assert.Greater(t, len(dashboard.Panels), 10)
	for _, panel := range dashboard.Panels {
		assert.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			used := usedMetric.FindAllString(target.Expr, -1)
			assert.NotEmpty(t, used, panel.Title)
			for _, name := range used {
				assert.True(t, names[name], "panel %q names %s", panel.Title, name)
			}
		}
	}
	for _, path := range []string{alertsFile, alertTests} {
		for _, name := range usedMetric.FindAllString(text(t, path), -1) {
			assert.True(t, names[name], "%s names %s", path, name)
		}
	}
}

func TestEveryMetricIsOnTheDashboard(t *testing.T) {
	dashboard := text(t, dashboardFile)
	for _, match := range documentedMetric.FindAllStringSubmatch(documentedMetrics(t), -1) {
		assert.True(t, strings.Contains(dashboard, match[1]), "no panel shows %s", match[1])
	}
}

func TestEveryAlertHasASection(t *testing.T) {
	rules := text(t, alertsFile)
	var alerts, sections []string
	for _, match := range alertName.FindAllStringSubmatch(rules, -1) {
		alerts = append(alerts, match[1])
		assert.Contains(t, rules, "runbook.md#"+strings.ToLower(match[1]))
	}
	for _, match := range runbookSection.FindAllStringSubmatch(text(t, root+"/docs/runbook.md"), -1) {
		sections = append(sections, match[1])
	}
	assert.NotEmpty(t, alerts)
	assert.Equal(t, alerts, sections)
}
