package core_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// service stands before a core, as one of Kubernetes stands before several.
type service struct {
	listener net.Listener
	core     string
	gone     atomic.Int64 // how many connections are yet to end at once
	pairs    sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func startService(t *testing.T, core string) *service {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &service{listener: listener, core: core}
	s.pairs.Go(s.accept)
	t.Cleanup(func() { _ = listener.Close(); s.hangUp(); s.pairs.Wait() })
	return s
}

func (s *service) accept() {
	for {
		from, err := s.listener.Accept()
		if err != nil {
			return
		}
		if s.gone.Add(-1) >= 0 {
			_ = from.Close()
			continue
		}
		to, err := new(net.Dialer).DialContext(context.Background(), "tcp", s.core)
		if err != nil {
			_ = from.Close()
			continue
		}
		s.mu.Lock()
		s.conns = append(s.conns, from, to)
		s.mu.Unlock()
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			s.pairs.Go(func() { _, _ = io.Copy(pair[0], pair[1]); _ = pair[0].Close() })
		}
	}
}

func (s *service) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.conns = nil
}

// A core that has gone has neighbours: what is asked meanwhile waits for one of them, and fails not
// even once, though some attempts still lead to the one that is away.
func TestACoreThatHasGoneHasANeighbour(t *testing.T) {
	authority := newAuthority(t, "core's authority")
	remote := newTicketing()
	remote.fetch = func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
		return &secretsv1.FetchResponse{Results: []*secretsv1.CallerResult{{}}}, nil
	}
	address, _ := remote.serve(t, "127.0.0.1:0", authority.serverTLS(t, authority.issue(t, "core"), false))
	between := startService(t, address)
	client := newClient(t, core.Config{Address: between.listener.Addr().String(), CAFile: authority.file, ServerName: "localhost"})
	for range 5 {
		_, err := client.Fetch(t.Context(), provider.Identity{Token: secret.New("a.1")}, provider.Request{})
		require.NoError(t, err)
		between.gone.Store(3)
		between.hangUp()
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				for range 5 {
					_, err := client.Fetch(t.Context(), provider.Identity{Token: secret.New("a.1")}, provider.Request{})
					assert.NoError(t, err)
				}
			})
		}
		all.Wait()
	}
}
