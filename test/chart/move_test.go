package chart

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/strvals"
	appsv1 "k8s.io/api/apps/v1"
)

var (
	upgrade = regexp.MustCompile(`(?m)^\$ helm upgrade .*$`)
	setting = regexp.MustCompile(`--(set|set-file|set-json) ('[^']*'|"[^"]*"|\S+)`)
	// supposed is what stands for the reader's variables.
	supposed = strings.NewReplacer(`"`, "", "'", "", "$POOL", "projects/1/locations/global/workloadIdentityPools/pool", "$TENANT", "00000000-0000-0000-0000-000000000000")
)

// The page of ten lines for each store sets values, of which test/move makes the driver's flags. So does the chart.
func TestTheValuesOfTheMoveBecomeTheFlagsThatItIsTestedWith(t *testing.T) {
	page, err := os.ReadFile("../../docs/migration/in-place.md")
	require.NoError(t, err)
	listed, err := os.ReadFile("../move/flags.txt")
	require.NoError(t, err)
	flags := map[string]string{}
	for line := range strings.Lines(string(listed)) {
		value, flag, _ := strings.Cut(strings.TrimSpace(line), " ")
		flags[value] = flag
	}
	commands := upgrade.FindAllString(string(page), -1)
	require.Len(t, commands, 7)
	set := map[string]bool{}
	for _, command := range commands {
		values, want := map[string]any{}, []string{}
		for _, match := range setting.FindAllStringSubmatch(command, -1) {
			text := strings.Trim(match[2], "'")
			name, value, _ := strings.Cut(text, "=")
			switch match[1] {
			case "set-json":
				require.NoError(t, strvals.ParseJSON(text, values))
				continue
			case "set-file":
				value = "{}"
				require.NoError(t, strvals.ParseIntoFile(text, values, func([]rune) (any, error) { return value, nil }))
			default:
				value = supposed.Replace(value)
				require.NoError(t, strvals.ParseInto(supposed.Replace(text), values))
			}
			if flag := flags[name]; flag != "" {
				want = append(want, strings.TrimSuffix(flag+"="+value, "=true"))
				set[name] = true
			}
		}
		args := find[*appsv1.DaemonSet](t, mustRender(t, newest, values), "DaemonSet", "").Spec.Template.Spec.Containers[1].Args
		assert.Subset(t, args, want, command)
	}
	for name := range flags {
		assert.True(t, set[name], "no command of the page sets %s", name)
	}
}
