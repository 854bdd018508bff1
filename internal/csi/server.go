package csi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/unixsocket"
)

// Server serves a driver to kubelet. It must not be copied once it serves.
type Server struct {
	// Endpoint is the path of the CSI socket.
	Endpoint string
	// RegistrationDir is kubelet's plugins_registry; empty to not register.
	RegistrationDir string
	// KubeletEndpoint is Endpoint as kubelet sees it, where that differs; optional.
	KubeletEndpoint string
	// Grace is how long calls in flight may take to finish once ctx ends.
	Grace  time.Duration
	Driver Config

	// registration is what kubelet said last of it; nil before it said anything.
	registration atomic.Pointer[registration.RegistrationStatus]
	// sockets are those of paths, while Serve runs.
	sockets atomic.Pointer[[]*unixsocket.Socket]
	// lookEvery is how often these are looked after.
	lookEvery time.Duration
}

// Serve answers kubelet until ctx ends. It then takes no new calls, removes its
// sockets, lets the calls in flight finish within Grace, and cancels the rest; that is
// no error. Serve refuses to start where another driver answers.
func (s *Server) Serve(ctx context.Context) error {
	sockets, err := s.listen(ctx)
	if err != nil {
		return err
	}
	s.registration.Store(nil)
	s.sockets.Store(&sockets)
	defer s.sockets.Store(nil)
	defer s.keep(ctx, sockets)()
	servers := s.servers()
	ended := make(chan error, len(sockets))
	for i, socket := range sockets {
		go func() { ended <- serve(servers[i], socket) }()
	}
	s.Driver.Logger.Info("serving", logkey.Path, s.Endpoint)
	left := len(sockets)
	select {
	case <-ctx.Done():
		s.Driver.Logger.Info("stopping as asked", logkey.Path, s.Endpoint)
	case err = <-ended:
		left--
	}
	stop(s.Driver.Logger, servers, s.Grace)
	for range left {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return fmt.Errorf("serving %s: %w", s.Endpoint, err)
	}
	return nil
}

// keep looks after the sockets until end is called. Kubelet forgets a driver whose
// registration socket goes, and has to take the new one's registration.
func (s *Server) keep(ctx context.Context, sockets []*unixsocket.Socket) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for i, socket := range sockets {
		all.Go(func() {
			socket.Keep(ctx, cmp.Or(s.lookEvery, unixsocket.LookEvery), s.Driver.Logger, func() {
				if i > 0 {
					s.registration.Store(nil)
				}
			})
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// serve is Serve, for which ending before it began is no error either.
func serve(server *grpc.Server, listener net.Listener) error {
	if err := server.Serve(listener); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// listen opens the CSI socket first: once kubelet finds the other, it calls.
func (s *Server) listen(ctx context.Context) ([]*unixsocket.Socket, error) {
	var sockets []*unixsocket.Socket
	for _, path := range s.paths() {
		made, err := unixsocket.Listen(ctx, path, os.Geteuid())
		if err != nil {
			for _, earlier := range sockets {
				_ = earlier.Close()
			}
			return nil, err
		}
		sockets = append(sockets, made)
	}
	return sockets, nil
}

func (s *Server) paths() []string {
	if s.RegistrationDir == "" {
		return []string{s.Endpoint}
	}
	return []string{s.Endpoint, s.registrationPath()}
}

func (s *Server) registrationPath() string { return filepath.Join(s.RegistrationDir, Name+"-reg.sock") }

const (
	// workers are goroutines that serve one call after another, so that not each call has
	// to grow a stack of its own. More calls at once are served by goroutines that come and
	// go.
	workers = 8
	// Kubelet dials for each call, and gRPC would buffer 32 KiB each way.
	ioBuffer = 4 << 10
	// window is gRPC's least. A window of a fixed size spares each call the pings by which
	// gRPC would find out how large a larger one had best be.
	window = 64 << 10
)

// servers are the gRPC servers in the order of paths.
func (s *Server) servers() []*grpc.Server {
	config := s.Driver.withDefaults()
	calls := grpc.UnaryInterceptor(callLog{config.Logger, config.Observer}.intercept)
	driver := grpc.NewServer(calls, grpc.NumStreamWorkers(workers), grpc.ReadBufferSize(ioBuffer), grpc.WriteBufferSize(ioBuffer),
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window))
	csi.RegisterIdentityServer(driver, identity{})
	csi.RegisterNodeServer(driver, &node{Config: config})
	if s.RegistrationDir == "" {
		return []*grpc.Server{driver}
	}
	endpoint := s.KubeletEndpoint
	if endpoint == "" {
		endpoint = s.Endpoint
	}
	registrations := grpc.NewServer(calls)
	registration.RegisterRegistrationServer(registrations, &registrar{endpoint: endpoint, outcome: &s.registration, log: config.Logger})
	return []*grpc.Server{driver, registrations}
}

// stop finishes the calls in flight, or cancels them when grace is over. Registration
// goes first, so that kubelet does not come back to a socket that is gone.
func stop(log *slog.Logger, servers []*grpc.Server, grace time.Duration) {
	timer := time.AfterFunc(grace, func() {
		log.Warn("cancelling the calls that did not finish in time", logkey.Duration, grace)
		for _, server := range servers {
			server.Stop()
		}
	})
	defer timer.Stop()
	for i := len(servers) - 1; i >= 0; i-- {
		servers[i].GracefulStop()
	}
}
