package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// ExitCode is for a program of one command, such as a benchmark: it goes on until run returns or
// somebody ends it, and the exit code is 1 if run fails.
func ExitCode(name string, run func(ctx context.Context) error) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}
