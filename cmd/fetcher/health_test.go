package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/metric"
	"github.com/leoflow/secrets-csi/internal/pages"
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
	boot(t, "--core-address=127.0.0.1:1", "--core-plaintext-loopback", "--health-address="+address)

	code, answer := ask(t, "http://"+address+"/healthz")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "ok\n", answer)
	// Before the driver has told of itself, its absence is what is answered.
	require.Eventually(t, func() bool {
		code, answer = ask(t, "http://"+address+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(answer, "kubelet has not registered the driver yet")
	}, 10*time.Second, 10*time.Millisecond)
	code, _ = ask(t, "http://"+address+"/secrets")
	assert.Equal(t, http.StatusNotFound, code)
}

func TestNobodyHoldsTheDriversMemoryByTalking(t *testing.T) {
	listener, err := pages.Listen(t.Context(), "", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := pages.New(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	go func() { ended <- pages.Site{Server: server, Listener: listener}.Serve(ctx) }()
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

// TestACrowdOfProbesIsOneCall has ten probes come while the first is under way.
func TestACrowdOfProbesIsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		release := make(chan struct{})
		probe := probe(func(context.Context) error {
			asked.Add(1)
			<-release
			return nil
		})
		for range 10 {
			go func() {
				answer := httptest.NewRecorder()
				probe.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
				assert.Equal(t, http.StatusOK, answer.Code)
			}()
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		assert.EqualValues(t, 1, asked.Load())
	})
}

// slowReader takes the first bytes of an answer and then nothing until it is let go.
type slowReader struct {
	http.ResponseWriter
	began chan<- struct{}
	goOn  <-chan struct{}
}

func (s slowReader) Write(p []byte) (int, error) {
	select {
	case s.began <- struct{}{}:
	default:
	}
	<-s.goOn
	return len(p), nil
}

// TestSlowScrapesKeepNoOtherWaiting has more of them than there are turns.
func TestSlowScrapesKeepNoOtherWaiting(t *testing.T) {
	handler := healthPages(func(context.Context) error { return nil }, metric.New())
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	began, goOn := make(chan struct{}, 1), make(chan struct{})
	var slow sync.WaitGroup
	for range 10 {
		slow.Go(func() { handler.ServeHTTP(slowReader{httptest.NewRecorder(), began, goOn}, request) })
		<-began
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	assert.Equal(t, http.StatusOK, answer.Code)
	assert.Contains(t, answer.Body.String(), "leoflow_csi_build_info")
	close(goOn)
	slow.Wait()
}

// TestACrowdKeepsNobodyElseWaiting fills the port from one host; another is answered.
func TestACrowdKeepsNobodyElseWaiting(t *testing.T) {
	listener, err := pages.Listen(t.Context(), "", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	go func() {
		ended <- pages.Site{Server: pages.New(handler, slog.New(slog.DiscardHandler)), Listener: listener}.Serve(ctx)
	}()
	var idle []net.Conn
	for range 10 * pages.ConnectionsOfOne {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
		require.NoError(t, err)
		idle = append(idle, conn)
	}

	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := &http.Client{Transport: &http.Transport{DialContext: from.DialContext}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String(), nil)
	require.NoError(t, err)
	for range 2 * pages.ConnectionsOfOne { // no connection is kept for the next
		response, err := client.Do(request)
		require.NoError(t, err)
		assert.True(t, response.Close)
		require.NoError(t, response.Body.Close())
	}

	hungUp := 0
	for _, conn := range idle {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(2*pages.HeaderTimeout)))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			hungUp++
		}
		require.NoError(t, conn.Close())
	}
	assert.Len(t, idle, hungUp, "the first few for saying nothing, the others at once")
	cancel()
	assert.NoError(t, <-ended)
	assert.Eventually(t, func() bool { // net/http does not wait for its connections
		return pages.Open(listener) == 0
	}, 5*time.Second, time.Millisecond)
}

func TestProfilesAreServedOnTheirOwnAddress(t *testing.T) {
	profiles, health := freeAddress(t), freeAddress(t)
	files := filepath.Join(t.TempDir(), "connections.json")
	require.NoError(t, os.WriteFile(files, []byte(`{}`), 0o600))
	boot(t, "--file-connections="+files, "--pprof-address="+profiles, "--health-address="+health)
	code, text := ask(t, "http://"+profiles+"/debug/pprof/goroutine?debug=1")
	assert.Equal(t, http.StatusOK, code)
	assert.Contains(t, text, "goroutine profile")
	code, _ = ask(t, "http://"+health+"/debug/pprof/")
	assert.Equal(t, http.StatusNotFound, code)
}
