package main

import (
	"io"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/cli"
)

func newLogger(out io.Writer, format, level string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, cli.Usagef("--log-level=%s: want debug, info, warn or error", level)
	}
	options.Level = least
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(out, &options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(out, &options)), nil
	default:
		return nil, cli.Usagef("--log-format=%s: want text or json", format)
	}
}
