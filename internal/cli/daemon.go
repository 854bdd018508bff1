package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run is a whole main of a program that goes on until somebody ends it: it calls first, and
// then the command that the command line names. The result is the exit code. A signal to end
// that comes before first has returned ends the process at once, as first may become another.
func (p Program) Run(first func() error) (code int) {
	if err := first(); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return Failure
	}
	ctx, stop := untilEnded()
	defer stop()
	return p.Execute(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}

// ExitCode is for a program of one command, such as a benchmark: it goes on until run returns or
// somebody ends it, and the exit code is 1 if run fails.
func ExitCode(name string, run func(ctx context.Context) error) (code int) {
	ctx, stop := untilEnded()
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return Failure
	}
	return OK
}

func untilEnded() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
}

// KeepMemoryPrivate makes sure that the values and keys in this process's memory reach no
// core file, no debugger of another process, and not the log in which Go's HTTP/2 would write
// down every header, tokens among them.
func KeepMemoryPrivate() error {
	if err := forgetHeaderLog(); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	return forbidDebuggers()
}

// forgetHeaderLog begins the program again where GODEBUG asks for http2debug: packages have
// read that before main could take it away.
func forgetHeaderLog() error {
	const variable = "GODEBUG"
	asked := strings.Split(os.Getenv(variable), ",")
	kept := slices.DeleteFunc(slices.Clone(asked), func(setting string) bool {
		return strings.HasPrefix(strings.TrimSpace(setting), "http2debug")
	})
	if len(kept) == len(asked) {
		return nil
	}
	if err := os.Setenv(variable, strings.Join(kept, ",")); err != nil {
		return err
	}
	return BeginAgain()
}

// BeginAgain has the same program take the place of this process. It returns only where that fails.
func BeginAgain() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program to begin again: %w", err)
	}
	return fmt.Errorf("beginning again: %w", syscall.Exec(self, os.Args, os.Environ())) //nolint:gosec // it is this very program
}

// NewLogger makes the log that the flags --log-format and --log-level ask for. Its level can
// be changed while it is in use.
func NewLogger(out io.Writer, format, level string) (*slog.Logger, *slog.LevelVar, error) {
	least := &slog.LevelVar{}
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, Usagef("--log-level=%s: want debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(out, options)), least, nil
	case "json":
		return slog.New(slog.NewJSONHandler(out, options)), least, nil
	default:
		return nil, nil, Usagef("--log-format=%s: want text or json", format)
	}
}
