package core

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/internal/regular/pair"
)

// lastWord is how long to listen to a core that has hung up: what it said is here.
const lastWord = 100 * time.Millisecond

// transport is TLS with the certificates that the files hold at the time of each
// handshake. Handshakes are rare, so nothing watches the files.
type transport struct {
	config Config
	over   *line

	mu   sync.Mutex
	good *tls.Config // what the files held when they last made sense
}

// newTransport fails where the files make no sense from the start.
func newTransport(config Config, over *line) (credentials.TransportCredentials, error) {
	settings, err := readTLS(config)
	if err != nil {
		return nil, err
	}
	return &transport{config: config, over: over, good: settings}, nil
}

// ClientHandshake checks core's certificate against the authority, which is the address
// or Config.ServerName. It notes the outcome, because what gRPC tells of it is text
// alone; and it notes nothing before there is one, because a call is told why it failed
// while gRPC may be at the next attempt already. A core that goes in the midst of it may have a
// neighbour at the same address.
func (t *transport) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := t.handshake(ctx, authority, raw)
	for isGone(err) && t.over.again(ctx) {
		if raw, err = t.over.anew(ctx); err != nil {
			return nil, nil, err
		}
		conn, info, err = t.handshake(ctx, authority, raw)
	}
	return conn, info, err
}

func (t *transport) handshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	settings := t.settings().Clone()
	heard := hearing{over: t.over, onProbation: new(atomic.Bool), ended: new(atomic.Bool)}
	settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		heard.onProbation.Store(true)
		if len(settings.Certificates) == 0 {
			return &tls.Certificate{}, nil // none, which is for core to judge
		}
		return &settings.Certificates[0], nil
	}
	conn, info, err := credentials.NewTLS(settings).ClientHandshake(ctx, authority, raw)
	t.over.failed(err)
	if err != nil {
		return nil, nil, err
	}
	t.over.standing.Add(1)
	if !heard.onProbation.Load() {
		t.over.heard()
	}
	heard.Conn = conn
	return heard, info, nil
}

// hearing hears the first word that follows a handshake: core has let this node in, or
// says why not.
type hearing struct {
	net.Conn
	over *line
	// onProbation: core has asked for a client certificate and not spoken since. With
	// TLS 1.3 it judges the certificate after the client's part of the handshake.
	onProbation *atomic.Bool
	ended       *atomic.Bool
}

// end notes that the connection stands no more.
func (h hearing) end() {
	if h.ended.CompareAndSwap(false, true) {
		h.over.standing.Add(-1)
		h.over.broken.Add(1)
	}
}

func (h hearing) Close() error {
	h.end()
	return h.Conn.Close()
}

func (h hearing) Read(into []byte) (int, error) {
	n, err := h.Conn.Read(into)
	if err != nil {
		h.end()
	}
	switch {
	case !h.onProbation.Load():
	case n > 0:
		h.onProbation.Store(false)
		h.over.heard()
	case err != nil:
		h.over.judge(err)
	}
	return n, err
}

// Write fails where core has hung up already. What it said before is still to be read, and
// gRPC would not.
func (h hearing) Write(from []byte) (int, error) {
	n, err := h.Conn.Write(from)
	if err != nil {
		h.end()
	}
	if err != nil && h.onProbation.Load() {
		_ = h.SetReadDeadline(time.Now().Add(lastWord))
		_, _ = h.Read(make([]byte, 1))
	}
	return n, err
}

// settings reads the files again. Files caught half replaced cost nothing: the last
// good ones serve until they make sense.
func (t *transport) settings() *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	settings, err := readTLS(t.config)
	if err != nil {
		t.config.Logger.Warn("keeping the certificates read before", slog.Any(logkey.Error, err))
		return t.good
	}
	t.good = settings
	return settings
}

func readTLS(config Config) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS13}
	if config.CAFile != "" {
		pem, err := regular.Read(config.CAFile, regular.Most)
		if err != nil {
			return nil, fmt.Errorf("reading core's CA: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading core's CA: %s holds no certificate in PEM", config.CAFile)
		}
	}
	if config.CertFile != "" {
		certificate, err := pair.Read(config.CertFile, config.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		settings.Certificates = []tls.Certificate{certificate}
	}
	return settings, nil
}

func (*transport) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone shares the files and the line: both stand for the one connection.
func (t *transport) Clone() credentials.TransportCredentials {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &transport{config: t.config, over: t.over, good: t.good}
}

// ServerHandshake is for servers, which this is not.
func (*transport) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("core's client does not serve")
}

// OverrideServerName is unused by gRPC and deprecated there.
func (*transport) OverrideServerName(string) error {
	return errors.New("the server name is set by configuration")
}
