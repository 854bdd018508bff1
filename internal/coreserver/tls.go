package coreserver

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/leoflow/secrets-csi/internal/coreserver/keyfile"
	"github.com/leoflow/secrets-csi/internal/regular"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// certificates holds what core shows and whom it trusts, as last read in good order.
type certificates struct {
	cert, key, clientCA string
	pair                func() ([]byte, secret.Text) // in the place of cert and key, where set

	current  atomic.Pointer[tls.Config]
	firstKey secret.Text

	reloading sync.Mutex // guards what follows
	seen      [sha256.Size]byte
	lastFault string
}

func loadCertificates(config Config) (*certificates, error) {
	c := &certificates{cert: config.Cert, key: config.Key, clientCA: config.ClientCA, pair: config.Pair}
	if _, err := c.reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// reload reads the files again. Half a replaced pair is an error, told once, and the
// old pair stays; the other half's arrival is another change.
func (c *certificates) reload() (changed bool, err error) {
	c.reloading.Lock()
	defer c.reloading.Unlock()
	changed, err = c.read()
	if err == nil {
		c.lastFault = ""
		return changed, nil
	}
	if c.lastFault == err.Error() {
		return false, nil
	}
	c.lastFault = err.Error()
	return false, err
}

func (c *certificates) read() (changed bool, err error) {
	certPEM, keyPEM, err := c.readPair()
	if err != nil {
		return false, err
	}
	var caPEM []byte
	if c.clientCA != "" {
		if caPEM, err = regular.Read(c.clientCA, regular.Most); err != nil {
			return false, fmt.Errorf("reading client CA: %w", err)
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s%s%s", len(certPEM), len(keyPEM), certPEM, keyPEM, caPEM))
	if sum == c.seen {
		return false, nil
	}
	next, err := c.build(certPEM, keyPEM, caPEM)
	if err != nil {
		return false, err
	}
	if c.current.Swap(next) == nil {
		c.firstKey = secret.New(string(keyPEM))
	}
	c.seen = sum
	return true, nil
}

func (c *certificates) readPair() (certPEM, keyPEM []byte, err error) {
	if c.pair != nil {
		certificate, key := c.pair()
		return certificate, []byte(key.Reveal()), nil
	}
	if certPEM, err = regular.Read(c.cert, regular.Most); err != nil {
		return nil, nil, fmt.Errorf("reading certificate: %w", err)
	}
	key, err := keyfile.Read("--key", c.key)
	return certPEM, []byte(key.Reveal()), err
}

func (c *certificates) build(certPEM, keyPEM, caPEM []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("using certificate %s with key %s: %w", c.cert, c.key, err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		NextProtos:   []string{"h2"},
		// A resumed session would outlive a replaced client CA.
		SessionTicketsDisabled: true,
	}
	if c.clientCA != "" {
		config.ClientAuth = tls.VerifyClientCertIfGiven
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(caPEM) {
			return nil, errors.New("using client CA " + c.clientCA + ": no PEM certificate in it")
		}
	}
	return config, nil
}

// config serves each new connection with what is current then.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current.Load(), nil
		},
	}
}

func (c *certificates) files() []string {
	var files []string
	if c.pair == nil {
		files = append(files, c.cert, c.key)
	}
	if c.clientCA != "" {
		files = append(files, c.clientCA)
	}
	return files
}
