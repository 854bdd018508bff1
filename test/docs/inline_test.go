package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	inlineCommand = regexp.MustCompile("`(agent|core|driver) ([^`]*--[^`]*)`")
	// As a pod has it: [agent, exec, --on-rotate=restart, --, python3].
	listedCommand = regexp.MustCompile(`\[(?:/[\w/-]*/)?(agent|core|driver), ([^\]]*)\]`)
)

// everywhere are flags of every command.
var everywhere = []string{"--help", "--version"}

// misused are the commands and flags in the text that no program of ours has. What stands
// after "--" is another's.
func misused(text string, help map[string]string) (found []string) {
	between := func(r rune) bool { return strings.ContainsRune(" ,\n", r) }
	for _, pattern := range []*regexp.Regexp{inlineCommand, listedCommand} {
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			found = append(found, misusedWords(match[1], strings.FieldsFunc(match[2], between), help)...)
		}
	}
	return found
}

func misusedWords(program string, words []string, help map[string]string) (found []string) {
	command := program
	if len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		command += " " + words[0]
	}
	if help[command] == "" {
		return []string{command}
	}
	if end := slices.Index(words, "--"); end >= 0 {
		words = words[:end]
	}
	for _, word := range words {
		name, _, _ := strings.Cut(word, "=")
		if strings.HasPrefix(name, "--") && !slices.Contains(everywhere, name) && !strings.Contains(help[command], "\n  "+name+" ") {
			found = append(found, command+" "+name)
		}
	}
	return found
}

func TestEveryCommandThatProseSpeaksOfExists(t *testing.T) {
	help := helpOfAll(t)
	for path, text := range documents(t) {
		assert.Empty(t, misused(ofToday(path, text), help), path)
	}
}

func TestAMisusedCommandIsNoticed(t *testing.T) {
	help := helpOfAll(t)
	require.Empty(t, misused("`agent exec --on-rotate=restart -- COMMAND --flag`, [/leoflow/agent, exec, --airflow-backend, --, airflow]", help))
	assert.Equal(t, []string{"agent exec --rotate", "agent exce", "core serve --grades"},
		misused("`agent exec --rotate -- COMMAND`, `agent exce -- COMMAND`, command: [core, serve, --grades, --rules=x]", help))
}
