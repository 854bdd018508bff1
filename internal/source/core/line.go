package core

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// tlsAlert is what crypto/tls names the operation of an error that the other side sent.
const tlsAlert = "remote error"

// line is the node's one connection as far as gRPC does not show it: how often it was
// made anew, why the last attempt failed, and a way to give it up.
type line struct {
	plaintext bool
	count     atomic.Int64

	mu      sync.Mutex
	conn    net.Conn
	failure error
	// speaks is set once core has said something on the present connection, or at once in
	// plaintext, where there is no handshake. What gRPC tells of its state may lag behind the
	// calls that it carries.
	speaks bool
	// hungUp is set if core ended the last connection before it said anything, and
	// verdict is the alert by which it then refused the certificate.
	hungUp  bool
	verdict error
}

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	if l.plaintext {
		dialer.Control = refuseStrangers
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		l.failed(err)
		return nil, err
	}
	l.count.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.speaks = conn, l.plaintext
	if l.plaintext {
		l.failure = nil
	}
	return conn, nil
}

// refuseStrangers looks at what a name was resolved to, before anything is sent there.
func refuseStrangers(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err == nil && at.Addr().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is not a loopback address, and TLS is switched off", address)
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

// judge notes how a connection ended on which core had not spoken.
func (l *line) judge(end error) {
	var alert *net.OpError
	if !errors.As(end, &alert) || alert.Op != tlsAlert || !strings.Contains(alert.Error(), "certificate") {
		end = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hungUp, l.verdict = true, end
}

// heard notes that core speaks.
func (l *line) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.speaks, l.hungUp, l.verdict = true, false, nil
}

// isUp tells whether core speaks on the present connection.
func (l *line) isUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.speaks
}

// judged tells whether core has hung up, and its refusal of the client certificate, or nil
// if that is not what keeps the node from core.
func (l *line) judged() (hungUp bool, verdict error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hungUp, l.verdict
}

// drop gives the present connection up, so that the next call makes a new one.
func (l *line) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}
