package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/metric"
)

const (
	// maxHeader is what Prometheus and kubelet never come near.
	maxHeader = 4 << 10
	// headerTimeout is for a request, which is a few hundred bytes.
	headerTimeout = 2 * time.Second
	// maxConnections bounds the connections to one address, and connectionsOfOne those from
	// one host among them. What is above is closed at once, so that nobody waits behind it.
	maxConnections, connectionsOfOne = 256, 8
)

// site is a server of pages and where it listens.
type site struct {
	server   *http.Server
	listener net.Listener
}

// listenHTTP opens all addresses or none.
func (s *settings) listenHTTP(ctx context.Context, server *csi.Server, metrics *metric.Metrics, log *slog.Logger) (sites []site, err error) {
	defer func() {
		if err != nil {
			for _, earlier := range sites {
				_ = earlier.listener.Close()
			}
		}
	}()
	if s.healthAddress != "" {
		listener, err := listenTCP(ctx, "--health-address", s.healthAddress)
		if err != nil {
			return sites, err
		}
		sites = append(sites, site{newHTTP(healthPages(server, metrics), log), listener})
	}
	if s.pprofAddress != "" {
		listener, err := listenTCP(ctx, "--pprof-address", s.pprofAddress)
		if err != nil {
			return sites, err
		}
		profiles := newHTTP(profilePages(), log)
		profiles.WriteTimeout = 0 // one takes as long as it was asked to
		sites = append(sites, site{profiles, listener})
	}
	return sites, nil
}

func listenTCP(ctx context.Context, flagName, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flagName, err)
	}
	return newCrowd(listener, maxConnections, connectionsOfOne), nil
}

// newHTTP makes a server of pages. Every pod that reaches its address may ask, so no
// connection can hold much of this process's memory, nor hold it for long, nor stay for
// another request: Prometheus and kubelet ask a few times a minute.
func newHTTP(pages http.Handler, log *slog.Logger) *http.Server {
	server := &http.Server{
		Handler: pages, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	server.SetKeepAlivesEnabled(false)
	return server
}

// serve answers until ctx ends.
func (s site) serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.server.Close() })
	defer stop()
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering on %s: %w", s.listener.Addr(), err)
	}
	return nil
}

// healthPages answer kubelet's probes and Prometheus: /healthz is about the process and
// mended by a restart, /readyz about being able to serve pods.
func healthPages(server *csi.Server, metrics *metric.Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", probe(server.Live))
	mux.Handle("GET /readyz", probe(server.Ready))
	mux.Handle("GET /metrics", buffered(metrics.Handler()))
	return mux
}

// buffered has pages done before the first byte is sent: who reads slowly then holds none of
// the few turns that there are at making one.
func buffered(pages http.Handler) http.Handler {
	return http.TimeoutHandler(pages, 5*time.Second, "the driver is too busy")
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
