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
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	// A closed terminal or a pager that is quit is no reason to leave a mount behind.
	ctx, stop := signal.NotifyContext(context.Background(),
		os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx)
	stop()
	var again *exec.ExitError
	if errors.As(err, &again) { // it has said what went wrong
		os.Exit(again.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	bin := flag.String("bin", "bin", "the `directory` of the built binaries")
	flag.Parse()
	switch {
	case os.Getenv(inNamespace) != "":
		if err := leaveMountsOfOthersAlone(); err != nil {
			return err
		}
	case !mayMount():
		return runInNamespace(ctx)
	}
	absolute, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	return tell(ctx, absolute)
}
