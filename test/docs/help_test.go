package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testgolden"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// helpBlock is what a program prints about one of its commands:
//
//	<!-- help: agent exec -->
//	```text
//	…
//	```
//	<!-- end of help -->
var helpBlock = regexp.MustCompile("(?s)<!-- help: ([a-z -]+) -->\n.*?<!-- end of help -->")

// TestEveryCommandIsDocumentedAsItPrintsItself compares, and writes with -update.
func TestEveryCommandIsDocumentedAsItPrintsItself(t *testing.T) {
	help := helpOfAll(t)
	documented := map[string]bool{}
	for path, text := range documents(t) {
		want := helpBlock.ReplaceAllStringFunc(text, func(block string) string {
			command := helpBlock.FindStringSubmatch(block)[1]
			documented[command] = true
			return "<!-- help: " + command + " -->\n```text\n" + help[command] + "```\n<!-- end of help -->"
		})
		testgolden.File(t, path, want, "make generate")
	}
	for command := range help {
		assert.True(t, documented[command], "no document has <!-- help: %s -->", command)
		delete(documented, command)
	}
	assert.Empty(t, documented, "documented, and not there")
}

// programs is the directory of the three, built once.
var programs = sync.OnceValues(func() (string, error) { return stack.Build(root, "docs") })

// helpOfAll is what every command of every program prints about itself.
func helpOfAll(t *testing.T) map[string]string {
	t.Helper()
	bin, err := programs()
	require.NoError(t, err)
	programs, err := os.ReadDir(bin)
	require.NoError(t, err)
	help := map[string]string{}
	for _, program := range programs {
		own := printHelp(t, bin, program.Name())
		help[program.Name()] = own
		for _, command := range commandsIn(own) {
			help[program.Name()+" "+command] = printHelp(t, bin, program.Name(), command)
		}
	}
	return help
}

func printHelp(t *testing.T, bin, program string, command ...string) string {
	t.Helper()
	out, err := testwait.Command(t, filepath.Join(bin, program), append(command, "--help")...).Output()
	require.NoError(t, err)
	return string(out)
}

// commandsIn reads the list of commands in a program's help.
func commandsIn(help string) []string {
	_, list, _ := strings.Cut(help, "\nCommands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var commands []string
	for line := range strings.Lines(list) {
		commands = append(commands, strings.Fields(line)[0])
	}
	return commands
}
