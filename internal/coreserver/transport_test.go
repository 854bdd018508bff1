package coreserver_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
)

// sessions are a client's, which would resume them.
type sessions struct{ put int }

func (*sessions) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (s *sessions) Put(string, *tls.ClientSessionState)      { s.put++ }

// settings connects and returns the HTTP/2 settings that core begins with, by number
// (RFC 9113, section 6.5.1). Whatever TLS says after its handshake comes before them.
func settings(t *testing.T, c *core, cache tls.ClientSessionCache) map[uint16]uint32 {
	t.Helper()
	conn, err := c.dialTLS(&tls.Config{
		RootCAs: c.authority.Pool(), NextProtos: []string{"h2"}, ClientSessionCache: cache,
	})
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	require.NoError(t, err)
	header := make([]byte, 9)
	_, err = io.ReadFull(conn, header)
	require.NoError(t, err)
	require.Equal(t, byte(4), header[3], "the first frame holds the settings")
	frame := make([]byte, binary.BigEndian.Uint32(header)>>8)
	_, err = io.ReadFull(conn, frame)
	require.NoError(t, err)
	result := map[uint16]uint32{}
	for ; len(frame) > 0; frame = frame[6:] {
		result[binary.BigEndian.Uint16(frame)] = binary.BigEndian.Uint32(frame[2:])
	}
	return result
}

// A resumed session would outlive a replaced client CA.
func TestNoSessionIsResumed(t *testing.T) {
	cache := new(sessions)
	settings(t, startCore(t, nil), cache)
	assert.Zero(t, cache.put)
}

// A table of headers is there to remember them, and a token is one.
func TestNoHeaderIsRemembered(t *testing.T) {
	const headerTableSize = 1
	size, given := settings(t, startCore(t, nil), nil)[headerTableSize]
	assert.True(t, given)
	assert.Zero(t, size)
}

func TestHeadersAreBounded(t *testing.T) {
	c := startCore(t, nil)
	_, err := c.agent().GetVariables(bearing(within(t), strings.Repeat("x", 64<<10)), &agentv1.GetVariablesRequest{})
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.ErrorContains(t, err, "header list size")
}
