package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strings"

	"github.com/leoflow/secrets-csi/internal/pages"
	"github.com/leoflow/secrets-csi/internal/unixsocket"
)

// unixPrefix begins an address that is a unix socket.
const unixPrefix = "unix://"

// ListenProfiles opens what Go's profiles are served on: a unix:// socket, which a program before this
// one may have left, or a loopback address; nothing where the address is empty. They show function names, and in a
// heap's or a goroutine's profile no values; still they are for this node alone.
func ListenProfiles(ctx context.Context, address string, log *slog.Logger) ([]pages.Site, error) {
	if address == "" {
		return nil, nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := pages.New(mux, log)
	server.WriteTimeout = 0 // one takes as long as it was asked to
	listener, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	return []pages.Site{{Server: server, Listener: listener}}, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	const flag = "--pprof-address"
	path, isSocket := strings.CutPrefix(address, unixPrefix)
	if !isSocket {
		return pages.Listen(ctx, flag, address)
	}
	listener, err := unixsocket.Listen(ctx, path, os.Geteuid())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return listener, nil
}

// IsSocket tells the address of a unix socket.
func IsSocket(address string) bool {
	path, isSocket := strings.CutPrefix(address, unixPrefix)
	return isSocket && strings.HasPrefix(path, "/")
}

// IsLoopback takes numbers alone: what a name leads to can change.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
