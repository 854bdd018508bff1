package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

func ask(t *testing.T, url string) (code int, answer string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestProbesAreAnswered(t *testing.T) {
	address := freeAddress(t)
	registry := filepath.Join(shortTempDir(t), "registry")
	boot(t, "--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--registration-dir="+registry, "--health-address="+address)

	code, answer := ask(t, "http://"+address+"/healthz")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "ok\n", answer)
	code, answer = ask(t, "http://"+address+"/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.Contains(t, answer, "kubelet has not registered the driver yet")
	code, _ = ask(t, "http://"+address+"/secrets")
	assert.Equal(t, http.StatusNotFound, code)
}
