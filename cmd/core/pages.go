package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/metric"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pages"
)

// servePages answers /metrics and /healthz on address until ctx ends; nowhere where that is
// empty.
func servePages(ctx context.Context, address string, server *coreserver.Server, metrics *metric.Metrics, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := pages.Listen(ctx, "--metrics-address", address)
	if err != nil {
		return nil, err
	}
	site := pages.Site{Server: pages.New(corePages(server, metrics), log), Listener: listener}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := site.Serve(ctx); err != nil {
			log.Error("metrics are no longer served", logkey.Error, err)
		}
	}()
	return func() { cancel(); <-ended }, nil
}

func corePages(server *coreserver.Server, metrics *metric.Metrics) http.Handler {
	metrics.Watch(server)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", pages.Buffered(metrics.Handler()))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeHealth(w, server) })
	return mux
}

// writeHealth says ok in any case, since a file that cannot be read is mended by no restart, and
// what is not in force.
func writeHealth(w http.ResponseWriter, server *coreserver.Server) {
	_, _ = fmt.Fprintln(w, "ok")
	for _, file := range server.Files() {
		if file.Fault != "" {
			_, _ = fmt.Fprintf(w, "not in force since %s: %s\n", file.Since.UTC().Format(time.RFC3339), file.Fault)
		}
	}
}
