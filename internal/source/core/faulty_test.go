package core_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// page is a server that speaks HTTP/2 over TLS and no gRPC of its own.
func page(write func(http.ResponseWriter)) func(*testing.T) core.Config {
	return func(t *testing.T) core.Config {
		authority := newAuthority(t, "core's authority")
		web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w) }))
		web.EnableHTTP2 = true
		web.TLS = authority.serverTLS(t, authority.issue(t, "core"), false)
		web.StartTLS()
		t.Cleanup(web.Close)
		return core.Config{Address: web.Listener.Addr().String(), CAFile: authority.file}
	}
}

// frame answers with a gRPC message that claims a length, none where it is negative;
// and ends well or is cut off.
func frame(length int, body []byte, endsWell bool) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(http.StatusOK)
		if length >= 0 {
			_, _ = w.Write([]byte{0, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)})
			_, _ = w.Write(body)
		}
		w.(http.Flusher).Flush()
		if !endsWell {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Grpc-Status", "0")
	}
}

// silent accepts connections and keeps still.
func silent(t *testing.T) string {
	return listening(t, func(net.Conn) {})
}

// chatter speaks TLS, and then not HTTP/2.
func chatter(t *testing.T, authority *authority) string {
	settings := authority.serverTLS(t, authority.issue(t, "chatter"), false)
	return listening(t, func(conn net.Conn) {
		_, _ = tls.Server(conn, settings).Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\nwhat?\r\n"))
	})
}

// dying shakes hands, and is gone.
func dying(t *testing.T, settings *tls.Config) string {
	return listening(t, func(conn net.Conn) {
		_ = tls.Server(conn, settings).HandshakeContext(t.Context())
		_ = conn.Close()
	})
}

func listening(t *testing.T, greet func(net.Conn)) string {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		testwait.Closed(t, done)
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			greet(conn)
		}
	}()
	return listener.Addr().String()
}
