package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/pkg/driver"
)

// listenHTTP stands apart from serveHTTP so that an address that cannot be had keeps
// the driver from starting.
func listenHTTP(ctx context.Context, flagName, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flagName, err)
	}
	return listener, nil
}

const (
	// maxHeader is what Prometheus and kubelet never come near.
	maxHeader = 4 << 10
	// maxIdle is longer than Prometheus takes from one scrape to the next, if nobody told
	// it otherwise.
	maxIdle = 90 * time.Second
	// probesAtOnce bounds the calls that probes make to the CSI socket.
	probesAtOnce = 4
)

// newHTTP makes a server of pages. Every pod that reaches its address may ask, so no
// connection can hold much of this process's memory, nor hold it for long.
func newHTTP(pages http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: pages, MaxHeaderBytes: maxHeader,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: maxIdle,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// serveHTTP answers until ctx ends.
func serveHTTP(ctx context.Context, server *http.Server, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering on %s: %w", listener.Addr(), err)
	}
	return nil
}

// healthPages answer kubelet's probes and Prometheus: /healthz is about the process and
// mended by a restart, /readyz about being able to serve pods.
func healthPages(server *driver.Server, metrics *metric.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(server.Live))
	mux.Handle("GET /readyz", probe(server.Ready))
	mux.Handle("GET /metrics", metrics.Handler())
	return mux
}

// probe answers with what ask finds wrong, for whoever reads the pod's events.
func probe(ask func(context.Context) error) http.Handler {
	slots := make(chan struct{}, probesAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		if err := inTurn(ctx, slots, ask); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
}

// inTurn gives the slot back before anything is written, since who asked may read slowly.
func inTurn(ctx context.Context, slots chan struct{}, ask func(context.Context) error) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
		return ask(ctx)
	case <-ctx.Done():
		return errors.New("too many probes at once")
	}
}
