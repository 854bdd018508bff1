package main

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// logLevel is the level of a log that runs, and the one that it was started with.
type logLevel struct {
	now     *slog.LevelVar
	started slog.Level
}

// logger makes the log as the flags say.
func (s *settings) logger(out io.Writer) (*slog.Logger, logLevel) {
	level := logLevel{now: &slog.LevelVar{}, started: levels[s.logLevel]}
	level.now.Set(level.started)
	options := &slog.HandlerOptions{Level: level.now}
	if s.logFormat == "text" {
		return slog.New(slog.NewTextHandler(out, options)), level
	}
	return slog.New(slog.NewJSONHandler(out, options)), level
}

// followSignals switches to debug and back at every SIGUSR1, until stop is called.
func (l logLevel) followSignals(log *slog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	var following sync.WaitGroup
	following.Go(func() {
		for range signals {
			l.toggle()
			log.Warn("log level switched", logkey.LevelNow, l.now.Level())
		}
	})
	return func() {
		signal.Stop(signals)
		close(signals)
		following.Wait()
	}
}

func (l logLevel) toggle() {
	if l.now.Level() == slog.LevelDebug && l.started != slog.LevelDebug {
		l.now.Set(l.started)
		return
	}
	l.now.Set(slog.LevelDebug)
}
