package secretmanager

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// maxAnswer bounds what a server may answer; a secret takes 64 KiB, and base64 and an
// envelope around it.
const maxAnswer = 1 << 20

// NewHTTPClient returns the client that the SDKs use: TLS alone, bounded answers, and
// no redirect followed, for a redirect would carry the token elsewhere. roots are
// those of the system where nil. check, where not nil, sees an answer before the SDK
// does and may fail it.
func NewHTTPClient(roots *x509.CertPool, check func(*http.Response) error) *http.Client {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{
		Transport:     checked{transport, check},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checked fails an answer that does not pass, and the reading of one that goes on for
// too long.
type checked struct {
	*http.Transport
	check func(*http.Response) error
}

func (c checked) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" {
		return nil, Unusable("reaching " + request.URL.Host + ": over plain HTTP a token would go in the clear; give the driver an https URL")
	}
	response, err := c.Transport.RoundTrip(request)
	if err != nil {
		return nil, unreached(request.URL.Host, err)
	}
	if c.check != nil {
		if err := c.check(response); err != nil {
			_ = response.Body.Close()
			return nil, err
		}
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	return response, nil
}

// unreached tells of what waiting alone does not mend. A vault's or a region's name is
// part of its host's: one that there is not is misspelt, and no outage.
func unreached(host string, err error) error {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return &Failure{Kind: provider.ErrMissing, Text: "reaching " + host + ": there is no such host; correct the vault or the region, or the cluster's DNS"}
	case errors.As(err, &certificate):
		return &Failure{Kind: provider.ErrUnavailable, Text: "reaching " + host + ": its certificate cannot be verified; have the driver trust its CA"}
	}
	return err
}
