// Command demo tells the story of one connection: from an export file through core, TLS
// and the node driver onto a tmpfs and into a process, and what happens when it rotates.
// Everything but kubelet is real.
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
	if ctx.Err() != nil {
		err = errors.New("interrupted; everything is cleaned up")
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	bin := flag.String("bin", "bin", "the `directory` of the built binaries")
	flag.Parse()
	if os.Geteuid() != 0 {
		return runInNamespace(ctx)
	}
	absolute, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	return tell(ctx, absolute)
}
