// Command bench measures the budgets of the design, each beside a floor or a peer that is
// measured in the same run, since machines are noisy and ratios are not. It needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	bin := flag.String("bin", "bin", "the `directory` of the built binaries")
	strict := flag.Bool("strict", false, "fail if a budget is exceeded")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("mounting needs root; run it by sudo")
	}
	absolute, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	b := &bench{bin: absolute}
	b.header()
	for _, measure := range []func(context.Context) error{
		b.agent, b.publish, b.sustained, b.node, b.airflow,
	} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	if *strict && b.over > 0 {
		return fmt.Errorf("%d over budget", b.over)
	}
	return nil
}
