// Command bench measures the budgets of the design, each beside a floor or a peer that is
// measured in the same run, since machines are noisy and ratios are not. It needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func main() { os.Exit(cli.ExitCode("bench", run)) }

func run(ctx context.Context) (err error) {
	bin := flag.String("bin", "bin", "the `directory` of the built binaries")
	strict := flag.Bool("strict", false, "fail if a budget is exceeded")
	runs := flag.Int("runs", 5, "how often to measure each `part`; the run with the median is printed")
	only := flag.String("only", "", "a `pattern` of the parts to measure: agent, into, publish, sustained, node, outage, airflow")
	bare := flag.String("bare", "", "serve as a bare `program`, core or driver, in the directory of --bin; bench does so by itself")
	flag.Parse()
	if *bare != "" {
		return serveBare(ctx, *bare, *bin)
	}
	if os.Geteuid() != 0 {
		return errors.New("mounting needs root; run it by sudo")
	}
	absolute, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	leave, err := enterTmpfs()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	b := &bench{bin: absolute}
	b.header()
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name    string
		runs    int
		measure func(context.Context) error
	}{
		{"agent", *runs, b.agent}, {"into", *runs, b.into}, {"publish", *runs, b.publish}, {"sustained", *runs, b.sustained},
		{"node", *runs, b.node}, {"outage", 1, b.outage}, {"airflow", *runs, b.airflow},
	} {
		if !wanted.MatchString(part.name) {
			continue
		}
		for range part.runs {
			if err := part.measure(ctx); err != nil {
				return err
			}
		}
		b.print()
	}
	if *strict && b.over > 0 {
		return fmt.Errorf("%d over budget", b.over)
	}
	return nil
}
