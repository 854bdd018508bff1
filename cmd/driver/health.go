package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/leoflow/secrets-csi/pkg/driver"
)

// listenHealth stands apart from serveHealth so that an address that cannot be had
// keeps the driver from starting.
func listenHealth(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--health-address: %w", err)
	}
	return listener, nil
}

// serveHealth answers the HTTP probes of the driver's pod until ctx ends: /healthz is
// about the process and mended by a restart, /readyz about being able to serve pods.
func serveHealth(ctx context.Context, listener net.Listener, server *driver.Server) error {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(server.Live))
	mux.Handle("GET /readyz", probe(server.Ready))
	probes := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = probes.Close() })
	defer stop()
	if err := probes.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering probes: %w", err)
	}
	return nil
}

// probe answers with what ask finds wrong, for whoever reads the pod's events.
func probe(ask func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		if err := ask(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
}
