package secretmanager

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestNoTokenGoesInTheClearNorElsewhere(t *testing.T) {
	reached := 0
	count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ })
	plain, elsewhere := httptest.NewServer(count), httptest.NewTLSServer(count)
	defer plain.Close()
	defer elsewhere.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := NewHTTPClient(roots, 0)
	defer client.CloseIdleConnections()

	_, err := get(t, client, plain.URL)
	require.ErrorContains(t, err, "give the driver an https URL")
	status, err := get(t, client, server.URL)
	require.NoError(t, err)
	assert.Equal(t, http.StatusTemporaryRedirect, status)
	assert.Zero(t, reached)
}

func get(t *testing.T, client *http.Client, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func TestAnswersAreBounded(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 10 {
			_, _ = w.Write(make([]byte, maxAnswer))
		}
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := NewHTTPClient(roots, 0)
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer func() { assert.NoError(t, response.Body.Close()) }()

	read, err := io.Copy(io.Discard, response.Body)

	require.Error(t, err)
	assert.EqualValues(t, maxAnswer, read)
}

// An SDK may make a client of its own around the transport, and http.Client's own timeout would be lost there.
func TestARequestIsBoundedWithItsAnswer(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // or the answer might yet end well, on a connection that is being closed
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := NewHTTPClient(roots, 100*time.Millisecond)
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	response, err := (&http.Client{Transport: client.Transport}).Do(request)
	require.NoError(t, err)
	_, err = io.ReadAll(response.Body)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, response.Body.Close())
}

func TestWhoIsNotReached(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	_, err := get(t, NewHTTPClient(x509.NewCertPool(), 0), server.URL)
	require.ErrorIs(t, err, provider.ErrUnavailable)
	require.ErrorContains(t, err, "its certificate cannot be verified; have the driver trust its CA")

	missing := &url.Error{Err: fmt.Errorf("dial: %w", &net.DNSError{Name: "v.vault.azure.net", IsNotFound: true})}
	err = connectFailure("v.vault.azure.net", missing)
	require.ErrorIs(t, err, provider.ErrMissing)
	assert.EqualError(t, err, "reaching v.vault.azure.net: there is no such host; correct the vault or the region, or the cluster's DNS (missing)")

	err = connectFailure("v.vault.azure.net:443", &url.Error{Err: &net.OpError{Op: "proxyconnect", Err: &net.DNSError{Name: "proxy.example.", IsNotFound: true}}})
	assert.EqualError(t, err, "reaching v.vault.azure.net:443: no connection can be made, since the proxy has no address; correct HTTPS_PROXY, or the cluster's DNS (unavailable)")

	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	assert.EqualError(t, connectFailure("h", refused), "reaching h: no connection can be made (unavailable); wait, it is tried again")
	assert.Equal(t, io.ErrUnexpectedEOF, connectFailure("h", io.ErrUnexpectedEOF), "somebody was there")
}

func TestAnswersOfCallsAtOnceShareTheirRoom(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		_, _ = w.Write(make([]byte, size))
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := NewHTTPClient(roots, 0)
	defer client.CloseIdleConnections()
	ctx := Within(t.Context(), 100<<10)
	read := func(size int) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"?size="+strconv.Itoa(size), nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		defer func() { _ = response.Body.Close() }()
		_, err = io.ReadAll(response.Body)
		return err
	}
	require.NoError(t, read(60<<10))
	require.ErrorIs(t, read(60<<10), provider.ErrTooLarge)
	require.NoError(t, read(40<<10), "what did not fit takes nothing")
	require.ErrorIs(t, read(1), provider.ErrTooLarge)
	require.NoError(t, Take(t.Context(), 1<<30), "a call without a room is bounded by itself")
}
