package core_test

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestClientReadsItsCertificatesAgain(t *testing.T) {
	before, after := newAuthority(t, "before"), newAuthority(t, "after")
	dir := t.TempDir()
	ca, cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	use := func(a *authority) {
		pair := a.issue(t, "node")
		replace(t, ca, a.file)
		replace(t, cert, pair.certFile)
		replace(t, key, pair.keyFile)
	}
	use(before)
	s := &server{fetch: oursHolding("env")}
	address, stop := s.serve(t, "127.0.0.1:0", before.serverTLS(t, before.issue(t, "core"), true))
	log := new(logged)
	client := newClient(t, core.Config{Address: address, CAFile: ca, CertFile: cert, KeyFile: key, Logger: log.logger()})
	requireFetch(t, client)

	stop()
	use(after)
	_, stop = s.serve(t, address, after.serverTLS(t, after.issue(t, "core"), true))
	requireFetchInTime(t, client)

	// Files caught half replaced are as good as the last ones.
	stop()
	require.NoError(t, os.WriteFile(key, []byte("-----BEGIN"), 0o600))
	s.serve(t, address, after.serverTLS(t, after.issue(t, "core"), true))
	requireFetchInTime(t, client)
	assert.Contains(t, log.String(), "keeping the certificates read before")
}

func requireFetchInTime(t *testing.T, client *core.Client) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := client.Fetch(t.Context(), pod(), oneVariable)
		return err == nil
	}, testwait.Limit, 20*time.Millisecond)
}

func replace(t *testing.T, file, with string) {
	content, err := os.ReadFile(with)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file+".new", content, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}

func TestServerNameStandsInForTheAddress(t *testing.T) {
	authority := newAuthority(t, "core's authority")
	pair := authority.issue(t, "core", func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = nil, []string{"core.leoflow.svc"}
	})
	s := &server{fetch: oursHolding("env")}
	address, _ := s.serve(t, "127.0.0.1:0", authority.serverTLS(t, pair, false))
	requireFetch(t, newClient(t, core.Config{Address: address, CAFile: authority.file, ServerName: "core.leoflow.svc"}))
}

func TestAddressesOfAllKinds(t *testing.T) {
	authority := newAuthority(t, "core's authority")
	pair := authority.issue(t, "core", func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, net.IPv6loopback) })
	s := &server{fetch: oursHolding("env")}
	settings := authority.serverTLS(t, pair, false)
	four, _ := s.serve(t, "127.0.0.1:0", settings)
	six, _ := s.serve(t, "[::1]:0", settings)
	_, port, err := net.SplitHostPort(four)
	require.NoError(t, err)
	for _, address := range []string{four, six, "localhost:" + port} {
		requireFetch(t, newClient(t, core.Config{Address: address, CAFile: authority.file}))
	}
}

func TestPlaintextOnLoopback(t *testing.T) {
	s := &server{fetch: oursHolding("env")}
	address, _ := s.serve(t, "127.0.0.1:0", nil)
	requireFetch(t, newClient(t, core.Config{Address: address, PlaintextLoopback: true}))
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	authority := newAuthority(t, "core's authority")
	pair := authority.issue(t, "node")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, row := range []struct {
		says   string
		change func(*core.Config)
	}{
		{`core's address must be host:port, not "core"`, func(c *core.Config) { c.Address = "core" }},
		{`core's address must be host:port, not ":8443"`, func(c *core.Config) { c.Address = ":8443" }},
		{"give both files or neither", func(c *core.Config) { c.KeyFile = "" }},
		{"reading core's CA: open /absent", func(c *core.Config) { c.CAFile = "/absent" }},
		{"empty.pem holds no certificate in PEM", func(c *core.Config) { c.CAFile = empty }},
		{"reading the client certificate: ", func(c *core.Config) { c.CertFile = empty }},
		{"plaintext leaves no use for certificates", func(c *core.Config) { c.PlaintextLoopback = true }},
		{`plaintext is for loopback addresses only, not "core.example.com"`, func(c *core.Config) {
			*c = core.Config{Address: "core.example.com:80", PlaintextLoopback: true}
		}},
		{"must not be negative", func(c *core.Config) { c.Timeout = -1 }},
	} {
		config := core.Config{Address: "core:8443", CAFile: authority.file, CertFile: pair.certFile, KeyFile: pair.keyFile}
		row.change(&config)
		_, err := core.New(config)
		require.Error(t, err, row.says)
		assert.Contains(t, err.Error(), "configuring core's client: ")
		assert.Contains(t, err.Error(), row.says)
	}
}

func TestCallsAfterCloseAreUnavailable(t *testing.T) {
	s := &server{fetch: oursHolding("env")}
	client, err := core.New(s.start(t))
	require.NoError(t, err)
	requireFetch(t, client)
	require.NoError(t, client.Close())
	require.NoError(t, client.Close())
	_, err = client.Fetch(t.Context(), pod(), oneVariable)
	require.ErrorContains(t, err, "unavailable: this client is closed")
	require.ErrorContains(t, client.Watch(t.Context(), nil), "unavailable: this client is closed")
}
