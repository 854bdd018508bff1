package core

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// line is the node's one connection as far as gRPC does not show it: how often it was
// made anew, why the last attempt failed, and a way to give it up.
type line struct {
	plaintext bool
	count     atomic.Int64
	// onProbation: core has asked for a client certificate and not spoken since. With
	// TLS 1.3 it judges the certificate after the client's part of the handshake, and
	// its verdict may be lost when it hangs up.
	onProbation atomic.Bool

	mu      sync.Mutex
	conn    net.Conn
	failure error
}

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err == nil && l.plaintext && !conn.RemoteAddr().(*net.TCPAddr).IP.IsLoopback() {
		_ = conn.Close()
		err = fmt.Errorf("%s is not a loopback address, and TLS is switched off", address)
	}
	if err != nil {
		l.failed(err)
		return nil, err
	}
	l.count.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	if l.plaintext {
		l.failure = nil
	}
	return conn, nil
}

// failed notes why the connection could not be made; nil once it was.
func (l *line) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err
}

// why is the reason there is no connection, or nil if there is one.
func (l *line) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// drop gives the present connection up, so that the next call makes a new one.
func (l *line) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}
