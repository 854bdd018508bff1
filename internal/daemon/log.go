// Package daemon is what the programs of a node share: signals, profiles, and how they end.
package daemon

import (
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

// followSignals switches the level to debug and back at every SIGUSR1, until stop is called.
func followSignals(log *slog.Logger, level *slog.LevelVar) (stop func()) {
	started := level.Level()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	var following sync.WaitGroup
	following.Go(func() {
		for range signals {
			toggle(level, started)
			log.Warn("log level switched", logkey.LevelNow, level.Level())
		}
	})
	return func() {
		signal.Stop(signals)
		close(signals)
		following.Wait()
	}
}

func toggle(level *slog.LevelVar, started slog.Level) {
	if level.Level() == slog.LevelDebug {
		level.Set(started)
		return
	}
	level.Set(slog.LevelDebug)
}
