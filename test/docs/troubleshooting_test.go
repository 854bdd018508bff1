package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// exitCode is a row of the agent's exit codes: the code, and what the log says.
	exitCode = regexp.MustCompile(`(?m)^\| [0-9]+ \| (.*?) \|`)
	quoted   = regexp.MustCompile("`([^`]+)`")
	// ownReason is one of an event of ours; a row of docs/events.md begins with it.
	ownReason = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|")
	anyReason = regexp.MustCompile("`((?:Entry|Volume|Token|Source|Served)[A-Z][a-z]+)`")
)

// What is found in a log is looked up by its words, so they must be the agent's.
func TestTroubleshootingQuotesTheAgent(t *testing.T) {
	code := codeOf(t, "pkg/envshim/*.go", "pkg/mount/layout/*.go")
	fromKernel := []string{"permission denied", "a flag or a", "LEOFLOW_"}
	rows := exitCode.FindAllStringSubmatch(troubleshooting(t), -1)
	assert.Greater(t, len(rows), 8)
	for _, row := range rows {
		for _, message := range quoted.FindAllStringSubmatch(row[1], -1) {
			for part := range strings.SplitSeq(message[1], "…") {
				if part = strings.Trim(part, " :,"); !slices.Contains(fromKernel, part) {
					assert.Contains(t, code, part)
				}
			}
		}
	}
}

// Every event that pods wait or change with has its line, and no other is promised.
func TestTroubleshootingNamesOurEvents(t *testing.T) {
	events := map[string]bool{}
	for _, match := range ownReason.FindAllStringSubmatch(read(t, "docs/events.md"), -1) {
		events[match[1]] = true
	}
	for _, match := range anyReason.FindAllStringSubmatch(troubleshooting(t), -1) {
		assert.Contains(t, events, match[1])
	}
	for reason := range events {
		// About connections that work, and should be stored otherwise.
		if slices.Contains([]string{"KeyStoredInCore", "CredentialIgnored", "ReadAsMeant"}, reason) {
			continue
		}
		assert.Contains(t, troubleshooting(t), "`"+reason+"`")
	}
}

func troubleshooting(t *testing.T) string { return read(t, "docs/troubleshooting.md") }

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(content)
}

func codeOf(t *testing.T, patterns ...string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			all.Write(content)
		}
	}
	return all.String()
}
