package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/console"
)

// commanding are the documents that tell their readers to do something.
func commanding(t *testing.T) []console.Document {
	t.Helper()
	all, _ := console.Commanding(root)
	require.NotEmpty(t, all)
	return all
}

func TestEveryCommandStandsInABlockOfItsKind(t *testing.T) {
	_, err := console.Commanding(root)
	assert.NoError(t, err)
}

// TestEveryCommandRunsAsPrinted is about documents that need no cluster. Those that do are
// tried there, by test/kind/manual.
func TestEveryCommandRunsAsPrinted(t *testing.T) {
	machine := prepare(t)
	for _, document := range commanding(t) {
		if document.NeedsCluster() || len(document.Steps) == 0 {
			continue
		}
		t.Run(document.Path, func(t *testing.T) {
			needPrograms(t, document)
			shell := machine.checkOut(t)
			defer shell.Close()
			trial := console.Trial{Shell: shell, Skip: console.Skip, Patience: testwait.Limit, Log: t.Logf}
			assert.NoError(t, trial.Run(t.Context(), document))
		})
	}
}

// notEverywhere are programs of documents that a bare Linux has not.
var notEverywhere = []string{"jq", "openssl", "python3"}

func needPrograms(t *testing.T, document console.Document) {
	t.Helper()
	for _, program := range notEverywhere {
		if document.Uses(program) {
			testneed.Program(t, program)
		}
	}
}

// byItself is the reason for commands that CI runs anyway.
const byItself = "CI runs it by itself"

// TestNothingIsExcusedInVain lets the list of what is not run hold nothing else.
func TestNothingIsExcusedInVain(t *testing.T) {
	said := map[string]bool{}
	for _, document := range commanding(t) {
		for _, step := range document.Steps {
			said[console.Plain(step.Command)] = true
		}
	}
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	require.NoError(t, err)
	for command, reason := range console.Elsewhere() {
		assert.True(t, said[command], "no document says %q any more: take it out of test/console/elsewhere.txt", command)
		if reason != byItself {
			continue
		}
		require.NotEmpty(t, targets(command), command)
		for _, target := range targets(command) {
			assert.Regexp(t, `(?m)\bstep make `+target+`( |$)`, string(ci))
		}
	}
}

func TestEveryTargetOfMakeThatIsNamedExists(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	for _, document := range commanding(t) {
		for _, step := range document.Steps {
			for _, target := range targets(console.Plain(step.Command)) {
				assert.Contains(t, string(makefile), "\n"+target+":", "%s: make has no target %s", step.At, target)
			}
		}
	}
}

var makeCommand = regexp.MustCompile(`^(?:[A-Z]+=\S+ )*make\b((?: [a-z][a-z0-9-]*)*)(?: [A-Z]+=\S+)*$`)

// targets are those that a command names which is nothing but make.
func targets(command string) []string {
	match := makeCommand.FindStringSubmatch(command)
	if match == nil {
		return nil
	}
	return strings.Fields(match[1])
}

func TestTargets(t *testing.T) {
	for command, want := range map[string][]string{
		"make": {}, "make demo": {"demo"}, "SOAKTIME=2m make soak": {"soak"}, "make build test VERSION=v1": {"build", "test"},
		"makeup": nil, "make demo | less": nil, "core check": nil,
	} {
		assert.Equal(t, want, targets(command), command)
	}
}
