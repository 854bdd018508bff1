package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/leoflow/secrets-csi/internal/pause"
)

// tlsAlert is what crypto/tls names the operation of an error that the other side sent.
const tlsAlert = "remote error"

// line is the node's one connection as far as gRPC does not show it: how often it was
// made anew, why the last attempt failed, and a way to give it up.
type line struct {
	plaintext bool
	// connect is what dials, where a test says so.
	connect func(ctx context.Context, dialer *net.Dialer, address string) (net.Conn, error)
	count   atomic.Int64
	// broken counts the connections that stood and ended, and standing those that still do.
	broken, standing atomic.Int64

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
	// address is where the connection leads, and spare how often it may still be tried at once.
	address string
	spare   int
}

const (
	// spareAttempts are made, within a second, once a connection that stood is lost: behind one
	// address there may be several cores, of which one has just gone, and each attempt may lead to
	// that. They are had again with the next connection that stands, so that an outage costs them
	// once.
	spareAttempts               = 10
	shortestSpare, longestSpare = 10 * time.Millisecond, 100 * time.Millisecond

	// firstSilence is how long an attempt waits for an answer, and each further one waits twice as
	// long. A Service gives an attempt to one of its pods, which may be gone since a second ago,
	// and what is sent again goes to the same pod; the next attempt may be given to another. It is
	// when Linux sends the first packet again.
	firstSilence = time.Second
)

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := l.attempt(ctx, address, firstSilence)
	for silence := firstSilence; ctx.Err() == nil && (isSilent(err) || isGone(err) && l.again(ctx)); {
		if isSilent(err) {
			silence *= 2
		}
		conn, err = l.attempt(ctx, address, silence)
	}
	if err != nil {
		l.failed(err)
		return nil, err
	}
	l.count.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.speaks, l.address = conn, l.plaintext, address
	if l.plaintext {
		l.failure, l.spare = nil, spareAttempts
	}
	return conn, nil
}

// attempt connects unless nobody answers for as long as silence.
func (l *line) attempt(ctx context.Context, address string, silence time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: silence}
	if l.plaintext {
		dialer.Control = refuseStrangers
	}
	if l.connect != nil {
		return l.connect(ctx, &dialer, address)
	}
	return dialer.DialContext(ctx, "tcp", address)
}

// isSilent tells that nobody answered in time.
func isSilent(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// isGone tells that there was nobody, or is nobody any more, at the other end.
func isGone(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// again waits for the next attempt that is made at once; false where there is none.
func (l *line) again(ctx context.Context) bool {
	l.mu.Lock()
	left := l.spare
	l.spare = max(0, left-1)
	l.mu.Unlock()
	return left > 0 && pause.Wait(ctx, pause.Jittered(min(longestSpare, shortestSpare<<(spareAttempts-left))))
}

// anew connects to where the last connection led.
func (l *line) anew(ctx context.Context) (net.Conn, error) {
	l.mu.Lock()
	address := l.address
	l.mu.Unlock()
	return l.dial(ctx, address)
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
	l.speaks, l.hungUp, l.verdict, l.spare = true, false, nil, spareAttempts
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
