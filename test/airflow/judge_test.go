//go:build airflow

package airflow

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/stack"
)

// What 'make airflow-test' may be told.
var (
	all     = flag.Bool("all", false, "judge by every version, not by the newest alone")
	only    = flag.String("only", "", "judge by this `version` alone, such as 2.11")
	cache   = flag.String("cache", defaultCache(), "the `directory` that keeps installed versions")
	parts   = flag.String("parts", "reads,processes,tasks,services,refusals", "the `parts` to judge")
	changes = flag.Int("changes", 400, "file changes during which entries are looked up")
	lookups = flag.Int("lookups", 100_000, "look-ups during them, at least")
	table   = flag.String("table", "../../docs/connections-table.md", "the `file` of what hooks are given and use")
	wordy   = flag.Bool("explained", false, "print every difference that a row explains")
)

func TestRealAirflowJudges(t *testing.T) {
	require.Zero(t, os.Geteuid(), "mounting needs root; run it by sudo")
	bin, err := stack.Build(filepath.Join("..", ".."), "airflow")
	require.NoError(t, err)
	require.NoError(t, writeWheel(bin))
	chosen := versions[:1]
	if *all {
		chosen = slices.Clone(versions)
	}
	if *only != "" {
		chosen = slices.DeleteFunc(slices.Clone(versions), func(v version) bool { return v.series != *only })
	}
	require.NotEmpty(t, chosen, "-only=%s: no such version here", *only)
	report := newReport()
	report.isWordy = *wordy
	for _, each := range chosen {
		court := &court{version: each, bin: bin, cache: *cache, report: report, changes: *changes, lookups: *lookups, parts: *parts, table: *table}
		assert.NoError(t, court.judge(t.Context()), "judging by Airflow %s", each.number)
	}
	assert.NoError(t, report.print(os.Stdout, len(chosen) == len(versions)))
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "leoflow-airflow-test")
}
