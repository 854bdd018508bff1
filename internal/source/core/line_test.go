package core

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testca"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// Whatever "localhost" is resolved to: nothing leaves the node in the clear.
func TestPlaintextGoesToLoopbackOnly(t *testing.T) {
	for _, address := range []string{"192.0.2.1:1", "[2001:db8::1]:1", "0.0.0.0:1"} {
		_, err := (&line{plaintext: true}).dial(t.Context(), address)
		require.ErrorContains(t, err, address+" is not a loopback address, and TLS is switched off")
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	conn, err := (&line{plaintext: true}).dial(t.Context(), listener.Addr().String())
	require.NoError(t, err)
	assert.NoError(t, conn.Close())
}

// A Service may give an attempt to a pod that is gone, and goes on doing so with what is sent again.
func TestAnAttemptThatNobodyAnswersIsMadeAnew(t *testing.T) {
	for name, row := range map[string]struct {
		silent   int
		takes    time.Duration
		attempts int
		connects bool
	}{
		"all answer":     {0, 0, 1, true},
		"one is gone":    {1, time.Second, 2, true},
		"two are gone":   {2, 3 * time.Second, 3, true},
		"nobody answers": {9, 5 * time.Second, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := 0
				over := &line{connect: func(ctx context.Context, dialer *net.Dialer, _ string) (net.Conn, error) {
					attempts++
					if attempts > row.silent {
						near, _ := net.Pipe()
						return near, nil
					}
					ctx, cancel := context.WithTimeout(ctx, dialer.Timeout)
					defer cancel()
					<-ctx.Done()
					return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
				}}
				ctx, cancel := context.WithTimeout(t.Context(), dialTimeout)
				defer cancel()
				began := time.Now()
				_, err := over.dial(ctx, "core:7443")
				assert.Equal(t, row.connects, err == nil, "%v", err)
				assert.Equal(t, row.takes, time.Since(began))
				assert.Equal(t, row.attempts, attempts)
			})
		})
	}
}

// A call that failed is told why by then, though gRPC may be at the next attempt already.
func TestWhatAnAttemptCameToIsKnownUntilTheNextHasEnded(t *testing.T) {
	authority, err := testca.New("core's authority")
	require.NoError(t, err)
	core, err := authority.Issue("core", func(c *x509.Certificate) { c.DNSNames = []string{"core"} })
	require.NoError(t, err)
	pair, err := core.TLS()
	require.NoError(t, err)
	dir := t.TempDir()
	config := Config{CAFile: filepath.Join(dir, "ca.crt"), CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	for file, content := range map[string][]byte{config.CAFile: authority.PEM(), config.CertFile: core.Certificate, config.KeyFile: core.Key} {
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	over := &line{}
	transport, err := newTransport(config, over)
	require.NoError(t, err)

	near, far := net.Pipe()
	go func() {
		settings := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"}}
		_ = tls.Server(far, settings).HandshakeContext(testwait.Context(t))
		_ = far.Close()
	}()
	conn, _, err := transport.ClientHandshake(testwait.Context(t), "core", near)
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	hungUp, verdict := over.judged()
	assert.True(t, hungUp)
	assert.NoError(t, verdict)

	near, far = net.Pipe()
	ended := make(chan error, 1)
	go func() {
		_, _, err := transport.ClientHandshake(testwait.Context(t), "core", near)
		ended <- err
	}()
	_, err = far.Read(make([]byte, 1)) // the next attempt has begun
	require.NoError(t, err)
	hungUp, _ = over.judged()
	assert.True(t, hungUp)
	require.NoError(t, far.Close())
	require.Error(t, testwait.Receive(t, ended))
}
