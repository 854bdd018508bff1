package cloudtest

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
)

// front is what a store or a cloud is asked at.
type front struct{ tls *httptest.Server }

// URL is where it is.
func (f front) URL() string { return f.tls.URL }

// Roots verify it.
func (f front) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(f.tls.Certificate())
	return pool
}

// Certificate verifies it too, as PEM.
func (f front) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.tls.Certificate().Raw})
}

// Client is what a provider under test asks it by.
func (f front) Client() *http.Client { return secretmanager.NewHTTPClient(f.Roots(), RequestTimeout) }

// Stop ends it, before the test does.
func (f front) Stop() {
	f.tls.CloseClientConnections()
	f.tls.Close()
}
