package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/internal/regular/pair"
)

// clientCertificate looks at what the driver shows to core.
func clientCertificate(_ context.Context, node Node) []Finding {
	const name = "client certificate"
	switch {
	case node.Core.Address == "":
		return skipped(name, "--core-address is not given")
	case node.Core.CertFile == "" && node.Core.TokenFile == "":
		return skipped(name, "neither --core-cert nor --core-token-file is given: core cannot tell this node of changes, and is polled")
	case node.Core.CertFile == "":
		return skipped(name, "--core-cert is not given; the driver's token watches for changes instead")
	}
	certificate, err := pair.Read(node.Core.CertFile, node.Core.KeyFile)
	if err != nil {
		return failed(name, err.Error(), "mount a Secret with the PEM certificate and the key that belongs to it")
	}
	return dates(name, certificate.Leaf, "issue a new one; the driver reads the file again by itself")
}

// dates judges how long a certificate is good for, by this node's clock.
func dates(name string, certificate *x509.Certificate, remedy string) []Finding {
	from, until := certificate.NotBefore.UTC().Format(time.RFC3339), certificate.NotAfter.UTC().Format(time.RFC3339)
	switch now := time.Now(); {
	case now.After(certificate.NotAfter):
		return failed(name, "it expired at "+until, remedy)
	case now.Before(certificate.NotBefore):
		return failed(name, "it is not valid before "+from+", and this node's clock says "+now.UTC().Format(time.RFC3339), "set the node's clock, or the clock of who issued it")
	case certificate.NotAfter.Sub(now) < expiresSoon:
		return warning(name, "it expires at "+until, remedy)
	}
	return fine(name, "valid until "+until)
}

// core makes a TLS connection as the driver does.
func core(ctx context.Context, node Node) []Finding {
	const name = "core"
	if node.Core.Address == "" {
		return skipped(name, "--core-address is not given")
	}
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", node.Core.Address)
	if err != nil {
		return failed(name, err.Error(), "see that core runs and that --core-address names it; then DNS, network policies and firewalls between this node and it")
	}
	defer func() { _ = raw.Close() }()
	if node.Core.Plaintext {
		return fine(name, node.Core.Address+" takes connections; without TLS nobody knows whose")
	}
	settings, err := node.Core.settings()
	if err != nil {
		return failed(name, err.Error(), "give --core-ca a PEM file that holds the CA of core's certificate")
	}
	conn := tls.Client(raw, settings)
	if err := conn.HandshakeContext(ctx); err != nil {
		return failed(name, err.Error(), handshakeRemedy(err))
	}
	findings := dates("core's certificate", conn.ConnectionState().PeerCertificates[0], "have core's operator renew it")
	// In TLS 1.3 a server judges the client's certificate after the handshake: its first
	// word, of HTTP/2 always the server's settings, tells.
	_ = raw.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return append(findings, failed(name, "core hung up: "+err.Error(), "have core trust the CA of this node's client certificate, or give the driver one with --core-cert and --core-key")...)
	}
	return append(findings, fine(name, node.Core.Address+" is reached, and is who it should be")...)
}

func (c Core) settings() (*tls.Config, error) {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, err
	}
	if c.ServerName != "" {
		host = c.ServerName
	}
	settings := &tls.Config{ServerName: host, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := regular.Read(c.CAFile, regular.Most)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", c.CAFile)
		}
	}
	// What is wrong with the client certificate is a finding of its own.
	if certificate, err := pair.Read(c.CertFile, c.KeyFile); err == nil {
		settings.Certificates = []tls.Certificate{certificate}
	}
	return settings, nil
}

func handshakeRemedy(err error) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return "give --core-ca the CA that core's certificate is from now"
	case errors.As(err, &hostname):
		return "give --core-server-name the name in core's certificate, or have the certificate name the host of --core-address"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "have core's operator renew its certificate, and compare the clocks"
	default:
		return "see that --core-address is core's gRPC port, with TLS, and not a proxy's"
	}
}
