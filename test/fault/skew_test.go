package fault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

// TestOneVersionApart runs the driver, core and agent of two versions beside each other, as they
// are in the midst of an upgrade: each is in turn the one that is older, or newer, than the rest. The
// other version is that of -before, and else the commit before this one.
func TestOneVersionApart(t *testing.T) {
	if *before == "" {
		*before = lastCommit(t)
		t.Cleanup(func() { *before = "" })
	}
	bins := map[string]string{"old": older(t), "new": binaries(t)}
	for _, row := range []struct{ core, driver, agent string }{
		{"old", "new", "new"}, {"new", "old", "old"},
		{"new", "old", "new"}, {"old", "new", "old"},
		{"new", "new", "old"}, {"old", "old", "new"},
	} {
		t.Run(row.core+" core, "+row.driver+" driver, "+row.agent+" agent", func(t *testing.T) {
			mixed := t.TempDir()
			for program, version := range map[string]string{"core": row.core, "driver": row.driver, "agent": row.agent} {
				starter := strings.ReplaceAll(knownFlags, "PROGRAM", filepath.Join(bins[version], program))
				require.NoError(t, os.WriteFile(filepath.Join(mixed, program), []byte(starter), 0o755))
			}
			r := newRigOf(t, stack.Options{Bin: mixed}, "*")
			r.readByAgentOf(t, mixed)
			r.rotate(t)
			seen := r.row("", "")
			r.converge(t, seen)
			r.republish(t, seen)
			r.readByAgentOf(t, mixed)
			require.Zero(t, seen.lost+seen.restarted)
		})
	}
}

// knownFlags becomes a program, without the flags that it does not know: what stack starts programs
// with is of this version, as a chart is, and a chart belongs to the programs of its own.
const knownFlags = `#!/bin/bash
case $1 in -*) help=$(PROGRAM --help) ;; *) help=$(PROGRAM "$1" --help) ;; esac
for argument; do
  if [[ $argument != --* ]] || grep -q -e "^  ${argument%%=*}\\b" <<<"$help"; then known+=("$argument"); fi
done
exec PROGRAM "${known[@]}"
`

// lastCommit is the one before the tree that is tested: the last one where that has changes.
func lastCommit(t *testing.T) string {
	t.Helper()
	for _, revision := range []string{"HEAD", "HEAD^"} {
		if err := testwait.Command(t, "git", "-c", "safe.directory=*", "-C", filepath.Join("..", ".."), "diff", "--quiet", revision, "--", "cmd", "internal", "pkg", "api").Run(); err != nil {
			return revision
		}
	}
	return "HEAD^"
}
