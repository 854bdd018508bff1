package daemon

import (
	"flag"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// Flags are those that both programs of a node have.
type Flags struct {
	// FetcherSocket is where the two meet.
	FetcherSocket       string
	logFormat, logLevel string
}

// Bind declares the flags.
func (f *Flags) Bind(flags *flag.FlagSet) {
	flags.StringVar(&f.FetcherSocket, "fetcher-socket", fetcherSocket, "the `path` of the unix socket on which driver and fetcher meet: the driver listens, the fetcher connects")
	flags.StringVar(&f.logFormat, "log-format", "json", "the log's `format`: json or text")
	flags.StringVar(&f.logLevel, "log-level", "info", "the log's `level`: debug, info, warn or error; SIGUSR1 switches to debug and back")
}

// Check adds what is wrong with them.
func (f *Flags) Check(mistakes *cli.Mistakes) {
	mistakes.If(!filepath.IsAbs(f.FetcherSocket), "--fetcher-socket %q is not an absolute path", f.FetcherSocket)
	_, _, err := cli.NewLogger(io.Discard, f.logFormat, f.logLevel)
	mistakes.Add(err)
}

// Start keeps the process's memory private and small, and opens its log, whose level follows SIGUSR1 until
// stop is called.
func (f *Flags) Start(out io.Writer, isProfiled bool) (log *slog.Logger, stop func(), err error) {
	if err := cli.KeepMemoryPrivate(); err != nil {
		return nil, nil, err
	}
	spareMemory(isProfiled)
	useOneProcessor()
	log, level, err := cli.NewLogger(out, f.logFormat, f.logLevel)
	if err != nil {
		return nil, nil, err
	}
	return log, followSignals(log, level), nil
}
