package secretmanager

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// requestTimeout bounds one request with its answer, also one that an SDK makes
	// without a deadline: for a flight that several callers share, or to renew a token.
	requestTimeout = 5 * time.Second
	// connectTimeout bounds dialling, and then the handshake. Both fit into a request, so
	// that a place where nobody accepts is told from one that does and then is silent.
	connectTimeout = 2 * time.Second
	// pingAfter is how long a connection may be silent before it is pinged, and pingTimeout
	// for how long it may not answer: a request on a dead one should be the last.
	pingAfter, pingTimeout = 5 * time.Second, 3 * time.Second
)

// maxAnswer bounds what a server may answer; a secret takes 64 KiB, and base64 and an
// envelope around it.
const maxAnswer = 1 << 20

// NewHTTPClient returns the client that the SDKs use: TLS alone, bounded answers, and
// no redirect followed, for a redirect would carry the token elsewhere. roots are
// those of the system where nil, timeout bounds a request and is five seconds where zero.
func NewHTTPClient(roots *x509.CertPool, timeout time.Duration) *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    callsOfOne,
		IdleConnTimeout:        time.Minute,
		TLSHandshakeTimeout:    connectTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
	return &http.Client{
		Transport:     checked{Transport: transport, timeout: cmp.Or(timeout, requestTimeout)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Checking is a client of NewHTTPClient, by the same connections, whose check sees an answer before the SDK does
// and may fail it.
func Checking(client *http.Client, check func(*http.Response) error) *http.Client {
	made, transport := *client, client.Transport.(checked)
	transport.check = check
	made.Transport = transport
	return &made
}

// NewNodeClient is for what a cloud has on the node itself, at a link-local address, where there
// is no TLS to be had: it goes to no other address, and through no proxy. It has as much time as the
// client of NewHTTPClient, and check is that of Checking.
func NewNodeClient(client *http.Client, check func(*http.Response) error) *http.Client {
	made := Checking(NewHTTPClient(nil, client.Transport.(checked).timeout), check)
	transport := made.Transport.(checked)
	transport.Proxy, transport.onNode = nil, true
	made.Transport = transport
	return made
}

// isOfNode tells whether a host is an address that leads no further than the node: of IPv6, AWS has
// set one aside.
func isOfNode(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && (address.IsLoopback() || address.IsLinkLocalUnicast() || address == netip.MustParseAddr("fd00:ec2::23"))
}

// checked fails an answer that does not pass, and the reading of one that goes on for
// too long.
type checked struct {
	*http.Transport
	// timeout bounds a request with its answer. http.Client's own would take a goroutine for each.
	timeout time.Duration
	check   func(*http.Response) error
	// onNode has it go to the node's own addresses alone, in the clear.
	onNode bool
}

func (c checked) RoundTrip(request *http.Request) (*http.Response, error) {
	isSafe := request.URL.Scheme == "https" || c.onNode && isOfNode(request.URL.Hostname())
	if !isSafe {
		return nil, Unusable("reaching " + request.URL.Host + ": over plain HTTP a token would go in the clear; give the driver an https URL")
	}
	ctx, cancel := within(request.Context(), c.timeout)
	response, err := c.Transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		isOver := ctx.Err() != nil
		cancel()
		if isOver {
			return nil, err
		}
		return nil, connectFailure(request.URL.Host, err)
	}
	if c.check != nil {
		if err := c.check(response); err != nil {
			_ = response.Body.Close()
			cancel()
			return nil, err
		}
	}
	response.Body = &metered{http.MaxBytesReader(nil, response.Body, maxAnswer), ctx, cancel, 0}
	return response, nil
}

// within is a context that ends after the timeout, or sooner. cancel is to be called.
func within(ctx context.Context, timeout time.Duration) (limited context.Context, cancel func()) {
	if end, ends := ctx.Deadline(); ends && time.Until(end) <= timeout {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// connectFailure recognizes the errors of a connection that could not be made, of a request
// whose own time is not over. A vault's or a region's name is part of its host's: one that
// there is not is misspelt, and no outage.
func connectFailure(host string, err error) error {
	failure := &Failure{Kind: provider.ErrUnavailable, Unreached: true, Text: "reaching " + host + ": "}
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var dial *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &name) && name.IsNotFound && isOf(host, name.Name):
		return NoSuchHost(host)
	case errors.As(err, &name) && name.IsNotFound:
		failure.Text += "no connection can be made, since the proxy has no address; correct HTTPS_PROXY, or the cluster's DNS"
	case errors.As(err, &certificate):
		failure.Text += "its certificate cannot be verified; have the driver trust its CA"
	case errors.As(err, &dial) && (dial.Op == "dial" || dial.Op == "proxyconnect"),
		errors.As(err, &timeout) && timeout.Timeout(): // of the handshake
		failure.Text += "no connection can be made"
	default:
		return err
	}
	return failure
}

// isOf tells whether a name that the DNS was asked for is that of a host, which may have a port.
func isOf(host, name string) bool {
	if only, _, err := net.SplitHostPort(host); err == nil {
		host = only
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), strings.TrimSuffix(name, "."))
}
