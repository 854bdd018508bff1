package core_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testca"
)

// authority signs certificates for one test.
type authority struct {
	*testca.Authority
	file string // its own certificate, in PEM
	dir  string
}

func newAuthority(t testing.TB, name string) *authority {
	made, err := testca.New(name)
	require.NoError(t, err)
	dir := t.TempDir()
	a := &authority{Authority: made, dir: dir, file: filepath.Join(dir, "ca.pem")}
	require.NoError(t, os.WriteFile(a.file, made.PEM(), 0o600))
	return a
}

// issued is a key pair in files.
type issued struct{ certFile, keyFile string }

// issue signs a certificate for 127.0.0.1 that changes may spoil.
func (a *authority) issue(t testing.TB, name string, changes ...func(*x509.Certificate)) issued {
	pair, err := a.Issue(name, changes...)
	require.NoError(t, err)
	files := issued{filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+"-key.pem")}
	require.NoError(t, os.WriteFile(files.certFile, pair.Certificate, 0o600))
	require.NoError(t, os.WriteFile(files.keyFile, pair.Key, 0o600))
	return files
}

// serverTLS is what a server with a certificate of a shows; with clients set it wants
// theirs too.
func (a *authority) serverTLS(t testing.TB, pair issued, clients bool) *tls.Config {
	loaded, err := tls.LoadX509KeyPair(pair.certFile, pair.keyFile)
	require.NoError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{loaded}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}
	if clients {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs = a.Pool()
	}
	return config
}
