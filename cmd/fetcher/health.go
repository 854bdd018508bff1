package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/internal/pages"
)

// listenHTTP opens all addresses or none.
func (s *settings) listenHTTP(ctx context.Context, ready func(context.Context) error, metrics *metric.Metrics, log *slog.Logger) (sites []pages.Site, err error) {
	defer func() {
		if err != nil {
			for _, earlier := range sites {
				_ = earlier.Listener.Close()
			}
		}
	}()
	if s.healthAddress != "" {
		listener, err := pages.Listen(ctx, "--health-address", s.healthAddress)
		if err != nil {
			return sites, err
		}
		sites = append(sites, pages.Site{Server: pages.New(healthPages(ready, metrics), log), Listener: listener})
	}
	profiles, err := daemon.ListenProfiles(ctx, s.pprofAddress, log)
	return append(sites, profiles...), err
}

// healthPages answer kubelet's probes and Prometheus: /healthz is about this process and mended by a
// restart, /readyz about being able to serve pods, which takes the driver.
func healthPages(ready func(context.Context) error, metrics *metric.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(func(context.Context) error { return nil }))
	mux.Handle("GET /readyz", probe(ready))
	mux.Handle("GET /metrics", pages.Buffered(metrics.Handler()))
	return mux
}

// probe answers with what ask finds wrong, for whoever reads the pod's events. Whoever comes
// while ask is under way gets its answer too, so a crowd costs no more than one.
func probe(ask func(context.Context) error) http.Handler {
	var flights singleflight.Group
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err, _ := flights.Do("", func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 3*time.Second)
			defer cancel()
			return nil, ask(ctx)
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
}
