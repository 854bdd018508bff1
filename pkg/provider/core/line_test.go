package core

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
