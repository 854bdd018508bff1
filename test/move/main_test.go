// Package move follows docs/migration/in-place.md as it stands: each of its sections leads a reader from
// an Airflow with its backend to a pod. The programs of this project, PostgreSQL and OpenBao are real; the
// clouds and Kubernetes are those of the tests, and what a reader types to them is done to these.
package move

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	root = "../.."
	page = "docs/migration/in-place.md"
	// promised is how many lines a reader types, and allowed how long they take.
	promised = 10
	allowed  = time.Minute
)

func TestMain(m *testing.M) {
	if program := filepath.Base(os.Args[0]); os.Getenv(socketVariable) != "" && program != testProgram {
		os.Exit(askTest(program))
	}
	os.Exit(mounttest.Run(m))
}

var build = sync.OnceValues(func() (string, error) { return stack.Build(root, "move") })

// sections are those of the page, by their headings.
func sections(t *testing.T) map[string]console.Document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	require.NoError(t, err)
	found := map[string]console.Document{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, _, _ := strings.Cut(section, "\n")
		document, err := console.Parse(page+" "+heading, section)
		require.NoError(t, err)
		found[heading] = document
	}
	return found
}

// lines are those that a reader types: commands, and what is in a file but its name.
func lines(document console.Document) (count int) {
	for _, step := range document.Steps {
		count += strings.Count(step.Command+step.Content, "\n")
		if step.File == "" {
			count++
		} else {
			count--
		}
	}
	return count
}

func TestEverySectionLeadsToAPod(t *testing.T) {
	found := sections(t)
	for heading := range places {
		assert.Contains(t, found, heading, "the page has no such section")
	}
	for heading, document := range found {
		t.Run(heading, func(t *testing.T) {
			begin, known := places[heading]
			require.True(t, known, "no test has a place for this section")
			assert.LessOrEqual(t, lines(document), promised, "lines to type")
			reader := sitDown(t, begin)
			shell := reader.shell()
			defer shell.Close()
			trial := console.Trial{Shell: shell, Skip: func(string) string { return "" }, Patience: testwait.Limit, Log: t.Logf}
			began := time.Now()
			require.NoError(t, trial.Run(t.Context(), document))
			reader.gets(t, volumeOf(t, document))
			took := time.Since(began)
			t.Logf("%d lines, %v to a pod that has its connection", lines(document), took.Round(time.Millisecond))
			assert.Less(t, took, allowed)
			reader.getsNoOther(t, volumeOf(t, document))
		})
	}
}
