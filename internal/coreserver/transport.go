package coreserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// tlsTransport serves each new connection with the certificates that are current then. gRPC's own
// keeps a copy of the whole configuration for each connection, and of its state.
type tlsTransport struct{ config *tls.Config }

// shownTLS is what of a TLS connection its calls need: the certificate that the client CA vouched
// for; nil where the client showed none.
type shownTLS struct {
	certificate *x509.Certificate
}

func (shownTLS) AuthType() string { return "tls" }

// Vouched tells that the client CA has signed what the client showed.
func (s shownTLS) Vouched() bool { return s.certificate != nil }

func (t tlsTransport) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn := tls.Server(raw, t.config)
	if err := conn.HandshakeContext(context.Background()); err != nil { // within the deadline that gRPC has set
		_ = conn.Close()
		return nil, nil, err
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol == "" {
		_ = conn.Close()
		return nil, nil, errors.New("the client did not agree on HTTP/2 (ALPN)")
	}
	if len(state.VerifiedChains) == 0 {
		return conn, shownTLS{}, nil
	}
	return conn, shownTLS{state.VerifiedChains[0][0]}, nil
}

func (tlsTransport) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("core is no client")
}

func (tlsTransport) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (t tlsTransport) Clone() credentials.TransportCredentials { return t }

func (tlsTransport) OverrideServerName(string) error { return errors.New("core is no client") }
