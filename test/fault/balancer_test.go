package fault

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// balancer hands each connection to any of its backends, as a Service does that has not noticed yet
// that one is away: such a connection ends at once.
type balancer struct {
	listener net.Listener
	backends []string
	pairs    sync.WaitGroup
}

func startBalancer(t *testing.T, backends ...string) *balancer {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &balancer{listener: listener, backends: backends}
	b.pairs.Go(b.accept)
	t.Cleanup(func() { _ = listener.Close(); b.pairs.Wait() })
	return b
}

func (b *balancer) address() string { return b.listener.Addr().String() }

func (b *balancer) accept() {
	for {
		from, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.pairs.Go(func() { b.join(from) })
	}
}

func (b *balancer) join(from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := new(net.Dialer).Dial("tcp", b.backends[rand.N(len(b.backends))])
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	b.pairs.Go(func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	})
	_, _ = io.Copy(from, to)
}
