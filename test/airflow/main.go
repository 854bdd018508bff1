// Command airflow lets real versions of Airflow judge what the real core, driver and
// agent deliver. Truth is what a version's own import makes of a file; against it stands
// what the same version makes of our delivery of the same file, field by field. It needs
// root, a Python from 3.11 to 3.12, and a package index.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() { os.Exit(cli.ExitCode("airflow", run)) }

func run(ctx context.Context) error {
	bin := flag.String("bin", "bin", "the `directory` of the built binaries")
	all := flag.Bool("all", false, "judge by every version, not by the newest alone")
	only := flag.String("only", "", "judge by this `version` alone, such as 2.11")
	cache := flag.String("cache", defaultCache(), "the `directory` that keeps installed versions")
	parts := flag.String("parts", "reads,processes,tasks,services,refusals", "the `parts` to judge")
	changes := flag.Int("changes", 400, "file changes during which entries are looked up")
	lookups := flag.Int("lookups", 100_000, "look-ups during them, at least")
	table := flag.String("table", "docs/connections-table.md", "the `file` of what hooks are given and use")
	wordy := flag.Bool("explained", false, "print every difference that a row explains")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("mounting needs root; run it by sudo")
	}
	absolute, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	chosen := versions[:1]
	if *all {
		chosen = slices.Clone(versions)
	}
	if *only != "" {
		chosen = slices.DeleteFunc(slices.Clone(versions), func(v version) bool { return v.series != *only })
	}
	if len(chosen) == 0 {
		return fmt.Errorf("--only=%s: no such version here", *only)
	}
	if err := writeWheel(absolute); err != nil {
		return err
	}
	report := newReport()
	report.isWordy = *wordy
	var failed error
	for _, each := range chosen {
		court := &court{version: each, bin: absolute, cache: *cache, report: report, changes: *changes, lookups: *lookups, parts: *parts, table: *table}
		if err := court.judge(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("judging by Airflow %s: %w", each.number, err))
		}
	}
	return errors.Join(failed, report.print(os.Stdout, len(chosen) == len(versions)))
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "leoflow-airflow-test")
}
