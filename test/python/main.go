// Command python judges the Python packages beyond what a machine's own Python can: by type
// checkers, by every Python that is there, and by the hooks of Airflow's provider packages of three
// ages, which do real work at real servers. It needs root, several Pythons, npm, and package indexes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() { os.Exit(cli.ExitCode("python", run)) }

// judge is what the parts share.
type judge struct {
	cache, dir, root string
	all              bool
	failures         []string
}

func run(ctx context.Context) (err error) {
	parts := flag.String("parts", "types,units,cost,readers,guard,hooks", "the `parts` to judge")
	all := flag.Bool("all", false, "judge by providers of every age in two Pythons, not by the newest in one")
	cache := flag.String("cache", defaultCache(), "the `directory` that keeps what was installed")
	flag.Parse()
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	j := &judge{cache: *cache, all: *all, root: root}
	if j.dir, err = os.MkdirTemp("", "leoflow-python-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(j.dir)) }()
	if err := os.Chmod(j.dir, 0o755); err != nil { // servers run as nobody
		return err
	}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{"types", j.types}, {"units", j.units}, {"cost", j.cost}, {"readers", j.readers}, {"guard", j.guard}, {"hooks", j.hooks}} {
		if !slices.Contains(strings.Split(*parts, ","), part.name) {
			continue
		}
		started := time.Now()
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		say("%s: %.0f s", part.name, time.Since(started).Seconds())
	}
	if len(j.failures) > 0 {
		return fmt.Errorf("%d checks failed:\n%s", len(j.failures), strings.Join(j.failures, "\n"))
	}
	return nil
}

func (j *judge) fail(format string, args ...any) {
	j.failures = append(j.failures, fmt.Sprintf(format, args...))
}

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "leoflow-airflow-test")
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "python: "+format+"\n", args...) }
