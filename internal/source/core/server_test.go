package core_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a core whose answers a test sets. A nil function is a method that the
// server does not implement.
type server struct {
	secretsv1.UnimplementedSecretsServiceServer
	agentv1.UnimplementedAgentServiceServer

	mu          sync.Mutex
	fetch       func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error)
	watch       func(*secretsv1.WatchRequest, grpc.ServerStreamingServer[secretsv1.WatchResponse]) error
	connections func(context.Context) (map[string]string, error)
	variables   func(context.Context) (map[string]string, error)

	fetches, tenantCalls atomic.Int64
}

var errUnimplemented = status.Error(codes.Unimplemented, "unknown method")

// set changes the server's ways while it runs.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) Fetch(ctx context.Context, request *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
	s.fetches.Add(1)
	s.mu.Lock()
	fetch := s.fetch
	s.mu.Unlock()
	if fetch == nil {
		return nil, errUnimplemented
	}
	return fetch(ctx, request)
}

func (s *server) Watch(request *secretsv1.WatchRequest, stream grpc.ServerStreamingServer[secretsv1.WatchResponse]) error {
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	if watch == nil {
		return errUnimplemented
	}
	return watch(request, stream)
}

func (s *server) GetConnections(ctx context.Context, _ *agentv1.GetConnectionsRequest) (*agentv1.GetConnectionsResponse, error) {
	s.mu.Lock()
	connections := s.connections
	s.mu.Unlock()
	uris, err := s.tenant(ctx, connections)
	return &agentv1.GetConnectionsResponse{ConnectionUris: uris}, err
}

func (s *server) GetVariables(ctx context.Context, _ *agentv1.GetVariablesRequest) (*agentv1.GetVariablesResponse, error) {
	s.mu.Lock()
	variables := s.variables
	s.mu.Unlock()
	values, err := s.tenant(ctx, variables)
	return &agentv1.GetVariablesResponse{Variables: values}, err
}

func (s *server) tenant(ctx context.Context, method func(context.Context) (map[string]string, error)) (map[string]string, error) {
	s.tenantCalls.Add(1)
	if method == nil {
		return nil, errUnimplemented
	}
	return method(ctx)
}

// serve runs s on loopback until the test ends, or until stop. An address other than
// "127.0.0.1:0" is taken again after a stop.
func (s *server) serve(t testing.TB, address string, settings *tls.Config, options ...grpc.ServerOption) (at string, stop func()) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	if settings != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(settings)))
	}
	running := grpc.NewServer(options...)
	secretsv1.RegisterSecretsServiceServer(running, s)
	agentv1.RegisterAgentServiceServer(running, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = running.Serve(listener)
	}()
	stop = sync.OnceFunc(func() {
		running.Stop()
		testwait.Closed(t, done)
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// start serves s over TLS and returns how to reach it.
func (s *server) start(t testing.TB, options ...grpc.ServerOption) core.Config {
	authority := newAuthority(t, "core's authority")
	address, _ := s.serve(t, "127.0.0.1:0", authority.serverTLS(t, authority.issue(t, "core"), false), options...)
	return core.Config{Address: address, CAFile: authority.file}
}

// newClient closes the client before the server stops.
func newClient(t testing.TB, config core.Config) *core.Client {
	if config.Timeout == 0 {
		config.Timeout = testwait.Limit
	}
	client, err := core.New(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// logged is a log at debug level.
type logged struct{ testwait.Output }

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
