package lane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// needed are the programs that lanes ask for, of which a machine may have none.
var needed = strings.Fields("jq mmdebstrap dockerd busybox ip gcc python3 bao openssl iptables apt-get")

// lanesWith runs .ci/run with a make that notes what it is told, and does it by the script. It returns the notes.
func lanesWith(t *testing.T, make string, lanes ...string) (notes []string, stdout string, code int) {
	t.Helper()
	script, err := os.ReadFile("../../.ci/run")
	require.NoError(t, err)
	command := checkout{t, t.TempDir(), ""}.write(".ci/run", string(script), 0o755)
	programs, noted := t.TempDir(), filepath.Join(t.TempDir(), "notes")
	for _, name := range needed {
		require.NoError(t, os.Symlink("/bin/true", filepath.Join(programs, name)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(programs, "make"), []byte("#!/bin/bash\nnote() { echo \"$*\" >>\"$NOTES\"; }\n"+
		"await() { until grep -qx \"$*\" \"$NOTES\"; do sleep 0.01; done; }\nnote begin $1\n"+make+"\nnote end $1\n"), 0o755))
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	t.Setenv("NOTES", noted)
	stdout, stderr, code := said(t, command, lanes...)
	text, err := os.ReadFile(noted)
	require.NoError(t, err, stderr)
	return strings.Split(strings.TrimSpace(string(text)), "\n"), stdout, code
}

func TestTheClusterIsBesideWhatNothingIsTimedIn(t *testing.T) {
	notes, stdout, code := lanesWith(t, `case $1 in
		kind-test) echo cluster; await end store-test;;
		store-test) await begin kind-test;;
	esac`, "kind", "store", "bench")
	assert.Zero(t, code)
	assert.ElementsMatch(t, []string{"begin kind-test", "begin store-test"}, notes[:2])
	assert.Equal(t, []string{"end store-test", "end kind-test", "begin bench", "end bench"}, notes[2:])
	assert.Regexp(t, `(?s)== make store-test.*==== lane kind\n.*cluster\n.*==== lane bench.*\nkind .*lanes: 3 passed, 0 failed`, stdout)
}

func TestAClusterThatFailsFailsTheRun(t *testing.T) {
	notes, stdout, code := lanesWith(t, `[[ $1 != kind-test ]] || { echo why; exit 3; }`, "kind", "bench")
	assert.Equal(t, 3, code)
	assert.Equal(t, []string{"begin kind-test"}, notes)
	assert.Contains(t, stdout, "why\n")
	assert.NotContains(t, stdout, "passed")
}

func TestALaneThatFailsEndsTheCluster(t *testing.T) {
	notes, stdout, code := lanesWith(t, `case $1 in
		kind-test) trap 'note ended; exit 1' TERM; note ready; await never;;
		store-test) await ready; exit 4;;
	esac`, "kind", "store", "bench")
	assert.Equal(t, 4, code)
	assert.Contains(t, notes, "ended")
	assert.NotContains(t, notes, "begin bench")
	assert.NotContains(t, stdout, "passed")
}

func TestWhatIsTimedIsBesideNothing(t *testing.T) {
	for _, lanes := range [][]string{{"kind"}, {"all", "kind", "store"}, {"kind", "bench", "store"}} {
		notes, _, code := lanesWith(t, "", lanes...)
		assert.Zero(t, code, lanes)
		for i := 0; i < len(notes); i += 2 {
			assert.Equal(t, strings.Replace(notes[i], "begin", "end", 1), notes[i+1], lanes)
		}
	}
}
