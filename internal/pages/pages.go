// Package pages answers HTTP on a port that every pod may reach: metrics, and how a program is.
package pages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// maxHeader is what Prometheus and kubelet never come near.
	maxHeader = 4 << 10
	// HeaderTimeout is for a request, which is a few hundred bytes.
	HeaderTimeout = 2 * time.Second
	// MaxConnections bounds the connections to one address. What is above is closed at once,
	// so that nobody waits behind it.
	MaxConnections = 256
	// ConnectionsOfOne bounds those from one host among them.
	ConnectionsOfOne = 8
)

// Site is a server of pages and where it listens.
type Site struct {
	Server   *http.Server
	Listener net.Listener
}

// Listen opens an address, which the flag named gives.
func Listen(ctx context.Context, flagName, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flagName, err)
	}
	return newCrowd(listener, MaxConnections, ConnectionsOfOne), nil
}

// New makes a server of pages. Every pod that reaches its address may ask, so no
// connection can hold much of this process's memory, nor hold it for long, nor stay for
// another request: Prometheus and kubelet ask a few times a minute.
func New(handler http.Handler, log *slog.Logger) *http.Server {
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: HeaderTimeout, ReadTimeout: HeaderTimeout, WriteTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	server.SetKeepAlivesEnabled(false)
	return server
}

// Serve answers until ctx ends.
func (s Site) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Server.Close() })
	defer stop()
	if err := s.Server.Serve(s.Listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answering on %s: %w", s.Listener.Addr(), err)
	}
	return nil
}

// Buffered has pages done before the first byte is sent: who reads slowly then holds none of
// the few turns that there are at making one.
func Buffered(handler http.Handler) http.Handler {
	return http.TimeoutHandler(handler, 5*time.Second, "too busy")
}
