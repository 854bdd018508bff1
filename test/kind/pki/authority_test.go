package pki

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

func TestIssuedCertificates(t *testing.T) {
	authority, err := NewAuthority("test")
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(authority.Certificate))

	for _, row := range []struct {
		name    string
		subject Subject
		usage   x509.ExtKeyUsage
		host    string
		valid   bool
	}{
		{"client", Subject{User: "u"}, x509.ExtKeyUsageClientAuth, "", true},
		{"client as a server", Subject{User: "u"}, x509.ExtKeyUsageServerAuth, "", false},
		{"server by name", Subject{User: "u", Hosts: []string{"a.test"}}, x509.ExtKeyUsageServerAuth, "a.test", true},
		{"server by address", Subject{User: "u", Hosts: []string{"127.0.0.1"}}, x509.ExtKeyUsageServerAuth, "127.0.0.1", true},
		{"server by another name", Subject{User: "u", Hosts: []string{"a.test"}}, x509.ExtKeyUsageServerAuth, "b.test", false},
	} {
		pair, err := authority.Issue(row.subject)
		require.NoError(t, err, row.name)
		certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
		require.NoError(t, err, row.name)
		_, err = certificate.Leaf.Verify(x509.VerifyOptions{
			Roots: roots, DNSName: row.host, KeyUsages: []x509.ExtKeyUsage{row.usage},
		})
		assert.Equal(t, row.valid, err == nil, "%s: %v", row.name, err)
	}
}

func TestKubeconfigNamesUserAndServer(t *testing.T) {
	authority, err := NewAuthority("test")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, authority.WriteKubeconfig(path, "198.18.0.2:6443",
		Subject{User: "system:node:n", Groups: []string{"system:nodes"}}))
	config, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	assert.Equal(t, "https://198.18.0.2:6443", config.Host)
	assert.Equal(t, authority.Certificate, config.CAData)
	certificate, err := tls.X509KeyPair(config.CertData, config.KeyData)
	require.NoError(t, err)
	assert.Equal(t, "system:node:n", certificate.Leaf.Subject.CommonName)
	assert.Equal(t, []string{"system:nodes"}, certificate.Leaf.Subject.Organization)
}
