package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority signs certificates for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate, in PEM
	dir  string
}

func newAuthority(t testing.TB, name string) *authority {
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	dir := t.TempDir()
	a := &authority{cert: cert, key: key, dir: dir, file: filepath.Join(dir, "ca.pem")}
	writePEM(t, a.file, "CERTIFICATE", raw)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func writePEM(t testing.TB, file, kind string, raw []byte) {
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
}

// issued is a key pair in files.
type issued struct{ certFile, keyFile string }

// issue signs a certificate for 127.0.0.1 that change may spoil.
func (a *authority) issue(t testing.TB, name string, change func(*x509.Certificate)) issued {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	key := newKey(t)
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	rawKey, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	pair := issued{filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+"-key.pem")}
	writePEM(t, pair.certFile, "CERTIFICATE", raw)
	writePEM(t, pair.keyFile, "PRIVATE KEY", rawKey)
	return pair
}

// serverTLS is what a server with a certificate of a shows; with clients set it wants
// theirs too.
func (a *authority) serverTLS(t testing.TB, pair issued, clients bool) *tls.Config {
	loaded, err := tls.LoadX509KeyPair(pair.certFile, pair.keyFile)
	require.NoError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{loaded}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
	if clients {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AddCert(a.cert)
	}
	return config
}
