package coreserver_test

import (
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testca"
)

// authority is a certificate authority of a test's own.
type authority struct {
	*testca.Authority
	t testing.TB
}

func newAuthority(t testing.TB) *authority {
	made, err := testca.New("test CA")
	require.NoError(t, err)
	return &authority{made, t}
}

// issue makes a certificate that serves 127.0.0.1 and may be a client's.
func (a *authority) issue(commonName string, serial int64) testca.Pair {
	pair, err := a.Issue(commonName, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(serial) })
	require.NoError(a.t, err)
	return pair
}

func (a *authority) pair(commonName string) tls.Certificate {
	pair, err := a.issue(commonName, 7).TLS()
	require.NoError(a.t, err)
	return pair
}

// install writes a new serving certificate into directory, one rename each.
func (a *authority) install(directory string, serial int64) {
	pair := a.issue("core", serial)
	replace(a.t, filepath.Join(directory, "tls.crt"), pair.Certificate)
	replace(a.t, filepath.Join(directory, "tls.key"), pair.Key)
}

// replace puts a new file in an old one's place the way it should be done.
func replace(t testing.TB, path string, content []byte) {
	require.NoError(t, os.WriteFile(path+".new", content, 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}
