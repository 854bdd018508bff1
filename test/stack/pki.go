package stack

import (
	"crypto/x509"
	"os"
	"path/filepath"

	"github.com/leoflow/secrets-csi/internal/testca"
)

// PKI is a throw-away certificate authority whose files lie in Dir.
type PKI struct {
	Dir       string
	authority *testca.Authority
}

// NewPKI makes an authority and writes its certificate to ca.crt in dir.
func NewPKI(dir string) (*PKI, error) {
	authority, err := testca.New("leoflow throw-away authority")
	if err != nil {
		return nil, err
	}
	pki := &PKI{dir, authority}
	return pki, os.WriteFile(pki.CA(), authority.PEM(), 0o600)
}

// CA is the path of the authority's certificate.
func (p *PKI) CA() string { return filepath.Join(p.Dir, "ca.crt") }

// Issue writes NAME.crt and NAME.key, good for a server on loopback that may be called
// name, and for a client called so. change may make the certificate another one.
func (p *PKI) Issue(name string, change ...func(*x509.Certificate)) (certFile, keyFile string, err error) {
	named := func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, name) }
	pair, err := p.authority.Issue(name, append([]func(*x509.Certificate){named}, change...)...)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(p.Dir, name+".crt"), filepath.Join(p.Dir, name+".key")
	if err := os.WriteFile(certFile, pair.Certificate, 0o600); err != nil {
		return "", "", err
	}
	return certFile, keyFile, os.WriteFile(keyFile, pair.Key, 0o600)
}
