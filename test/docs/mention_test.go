package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		{"flag", regexp.MustCompile("(?:^|[\\s`'\"(\\[,])(--[a-z][a-z0-9-]*)"), flags},
		{"environment variable", regexp.MustCompile(`\b(LEOFLOW_[A-Z0-9_]+)\b`), twins},
		{"metric", regexp.MustCompile(`\b(leoflow_(?:csi|core)_\w+)\b`), anyMetricNames(t)},
		{"value of the chart", regexp.MustCompile("`((?:" + strings.Join(topValues(t), "|") + `)\.[A-Za-z.]+)(?:=[^` + "`" + "]*)?`"), chartValues(t)},
		{"name of an event, a code or an object", regexp.MustCompile("`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`"), wordsOfCode(t)},
		{"attribute of a volume", regexp.MustCompile(`volumeAttributes: *(?:#.*)?(?:\{|\n +)(?:[a-z]+: [^}\n]*[,\n] *)*?([a-z]+): `), attributeNames(t)},
	}
}

// ranBlock has commands, which are run: those tell of a wrong name by themselves.
var ranBlock = regexp.MustCompile("(?ms)^ *```console\n.*?^ *```$")

// removedSection is the part of the changelog that names what is no longer there.
var removedSection = regexp.MustCompile(`(?ms)^### Removed$.*?(^##|\z)`)

// ofToday leaves out what documents say of names that were: decisions, and what was removed.
func ofToday(path, text string) string {
	if strings.Contains(path, "/adr/") {
		return ""
	}
	return removedSection.ReplaceAllString(text, "$1")
}

// strangers are the names in the text that nothing has. One that ends with a hyphen stands
// for all that begin so, as in "--gcp-…".
func (m mention) strangers(text string) (names []string) {
	for _, match := range m.pattern.FindAllStringSubmatch(text, -1) {
		name := match[1]
		if known := m.known[name] || strings.HasSuffix(name, "-") && m.begins(name); !known {
			names = append(names, name)
		}
	}
	return names
}

func (m mention) begins(prefix string) bool {
	for name := range m.known {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func TestEveryNameThatProseSpeaksOfExists(t *testing.T) {
	documents := documents(t)
	for _, mention := range mentions(t) {
		for path, text := range documents {
			prose := ranBlock.ReplaceAllString(ofToday(path, text), "")
			assert.Empty(t, mention.strangers(prose), "%s: there is no such %s", path, mention.what)
		}
	}
}

func TestAnInventedNameIsNoticed(t *testing.T) {
	invented := map[string]string{
		"flag": "`--invented`, `--invented=5s`", "environment variable": "LEOFLOW_INVENTED", "metric": "leoflow_csi_invented_total",
		"name of an event, a code or an object": "`EntryDenyed`",
		"value of the chart":                    "`driver.invented`, `driver.invented=1`", "attribute of a volume": "volumeAttributes: {invented: all}",
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
