package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := testport.Free()
	require.NoError(t, err)
	return address
}

func ask(t *testing.T, url string) (code int, answer string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(testwait.Context(t), http.MethodGet, url, nil)
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

func TestNobodyHoldsTheDriversMemoryByTalking(t *testing.T) {
	listener, err := listenHTTP(t.Context(), "", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := newHTTP(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	go func() { ended <- serveHTTP(ctx, server, listener) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String(), nil)
	require.NoError(t, err)
	request.Header.Set("A", strings.Repeat("x", 16<<10))
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, response.StatusCode)
	cancel()
	assert.NoError(t, testwait.Receive(t, ended))
}

func TestProbesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, release := 0, make(chan struct{})
		var mu sync.Mutex
		probe := probe(func(context.Context) error {
			mu.Lock()
			asked++
			mu.Unlock()
			<-release
			return nil
		})
		ask := func(ctx context.Context) int {
			answer := httptest.NewRecorder()
			probe.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
			return answer.Code
		}
		for range 10 {
			go func() { assert.Equal(t, http.StatusOK, ask(t.Context())) }()
		}
		synctest.Wait()
		assert.Equal(t, probesAtOnce, asked)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Equal(t, http.StatusServiceUnavailable, ask(gone))
		close(release)
		synctest.Wait()
		assert.Equal(t, 10, asked)
	})
}
