// Package alert holds the unit tests of the chart's alerts, for promtool, to the alerts.
// What each is about test/e2e causes with the real programs.
package alert

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, into))
}

// TestEachAlertIsTestedToFireAndToKeepQuiet looks for both among what is expected of the
// alert by name.
func TestEachAlertIsTestedToFireAndToKeepQuiet(t *testing.T) {
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	read(t, "../../charts/leoflow-secrets-csi/files/alerts.yaml", &rules)
	var tests struct {
		Tests []struct {
			Expected []struct {
				Alertname string
				Alerts    []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	read(t, "alerts.test.yaml", &tests)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, one := range tests.Tests {
		for _, expected := range one.Expected {
			if len(expected.Alerts) > 0 {
				fires[expected.Alertname] = true
			} else {
				quiet[expected.Alertname] = true
			}
		}
	}
	require.NotEmpty(t, rules.Groups)
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			assert.True(t, fires[rule.Alert], "%s fires in no test", rule.Alert)
			assert.True(t, quiet[rule.Alert], "%s keeps quiet in no test", rule.Alert)
		}
	}
}
