package coreserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// stranger speaks HTTP/2 frame by frame, as no client of good will does.
type stranger struct {
	t      *testing.T
	conn   *tls.Conn
	framer *http2.Framer
	fields bytes.Buffer
	coder  *hpack.Encoder
}

func (c *core) stranger(t *testing.T) *stranger {
	conn, err := c.dialTLS(&tls.Config{RootCAs: c.authority.Pool(), NextProtos: []string{"h2"}, ServerName: "localhost"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	s := &stranger{t: t, conn: conn, framer: http2.NewFramer(conn, nil)}
	s.coder = hpack.NewEncoder(&s.fields)
	require.NoError(t, s.framer.WriteSettings())
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(testwait.Limit)))
	return s
}

// headers are those of a call, and more.
func (s *stranger) headers(more ...string) []byte {
	s.fields.Reset()
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "https"}, {":authority", "core"}, {":path", "/leoflow.secrets.v1.SecretsService/Fetch"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		_ = s.coder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	for i := 0; i+1 < len(more); i += 2 {
		_ = s.coder.WriteField(hpack.HeaderField{Name: more[i], Value: more[i+1], Sensitive: true})
	}
	return bytes.Clone(s.fields.Bytes())
}

// untilClosed writes until core has hung up, and returns how often that was possible.
func (s *stranger) untilClosed(most int, write func(i uint32) error) int {
	hungUp := make(chan struct{})
	go func() { defer close(hungUp); _, _ = io.Copy(io.Discard, s.conn) }()
	for i := range most {
		if err := write(uint32(i)); err != nil {
			var timeout net.Error
			require.False(s.t, errors.As(err, &timeout) && timeout.Timeout(), "core takes nothing and does not hang up")
			testwait.Closed(s.t, hungUp)
			return i
		}
	}
	return most
}

// Each row would go on for ever. Core hangs up, and an honest caller is served meanwhile.
func TestCoreHangsUpOnFloods(t *testing.T) {
	c := startCore(t, nil)
	const most = 1 << 20
	for name, row := range map[string]func(s *stranger) int{
		"rapid resets": func(s *stranger) int {
			return s.untilClosed(most, func(i uint32) error {
				id := 2*i + 1
				return errors.Join(
					s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.headers(), EndHeaders: true}),
					s.framer.WriteRSTStream(id, http2.ErrCodeCancel))
			})
		},
		"calls that never end": func(s *stranger) int {
			return s.untilClosed(most, func(i uint32) error {
				return s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: s.headers(), EndHeaders: true})
			})
		},
		"continuations": func(s *stranger) int {
			if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.headers()}); err != nil {
				return 0
			}
			filling := bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 200)
			return s.untilClosed(most, func(uint32) error { return s.framer.WriteContinuation(1, false, filling) })
		},
		"empty continuations": func(s *stranger) int {
			if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.headers()}); err != nil {
				return 0
			}
			return s.untilClosed(most, func(uint32) error { return s.framer.WriteContinuation(1, false, nil) })
		},
		"giant metadata": func(s *stranger) int {
			giant := s.headers("x-giant", strings.Repeat("x", 15<<10))
			return s.untilClosed(most, func(i uint32) error {
				return s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: giant, EndHeaders: true})
			})
		},
		"settings": func(s *stranger) int {
			return s.untilClosed(most, func(uint32) error { return s.framer.WriteSettings() })
		},
		"pings": func(s *stranger) int {
			return s.untilClosed(most, func(uint32) error { return s.framer.WritePing(false, [8]byte{}) })
		},
		"windows": func(s *stranger) int {
			return s.untilClosed(most, func(uint32) error { return s.framer.WriteWindowUpdate(0, 1) })
		},
		"a message that does not end": func(s *stranger) int {
			if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.headers(), EndHeaders: true}); err != nil {
				return 0
			}
			return s.untilClosed(most, func(uint32) error { return s.framer.WriteData(1, false, make([]byte, 1<<10)) })
		},
	} {
		assert.Less(t, row(c.stranger(t)), most, name)
		_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")})
		require.NoError(t, err, name)
	}
}

func TestGiantMetadataIsRefused(t *testing.T) {
	c := startCore(t, nil)
	ctx := metadata.AppendToOutgoingContext(within(t), "x-giant", strings.Repeat("x", 64<<10))
	_, err := c.secrets().Fetch(ctx, &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")})
	require.Error(t, err)
	_, err = c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")})
	require.NoError(t, err)
}

// Half-open connections, such as send no word of TLS, and idle ones are as many as strangers
// may be, and an honest caller comes in beside them.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.Memory, config.MaxPeerConnections = 128<<20, 1024 })
	var silent []net.Conn
	for range 1000 {
		conn, err := new(net.Dialer).DialContext(within(t), "tcp", c.address)
		require.NoError(t, err)
		silent = append(silent, conn)
	}
	for range 10 {
		_, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")})
		require.NoError(t, err)
	}
	hungUp := 0
	for _, conn := range silent {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
			hungUp++
		}
		_ = conn.Close()
	}
	assert.Greater(t, hungUp, 800)
}

// One peer wants ten thousand watches. A node has one.
func TestWatchesOfOnePeerAreFew(t *testing.T) {
	c := startCore(t, nil)
	client := c.secrets(c.authority.pair("node-1"))
	first, err := client.Watch(within(t), &secretsv1.WatchRequest{})
	require.NoError(t, err)
	_, err = first.Recv()
	require.NoError(t, err)
	refused := 0
	var streams []secretsv1.SecretsService_WatchClient
	for range 20 {
		stream, err := client.Watch(within(t), &secretsv1.WatchRequest{})
		require.NoError(t, err)
		streams = append(streams, stream)
	}
	for _, stream := range streams {
		if _, err := stream.Recv(); status.Code(err) == codes.ResourceExhausted {
			refused++
		}
	}
	assert.Equal(t, 17, refused, "four stand")
	c.write("variables.yaml", "env: n33dle-changed\n")
	c.server.Reload()
	_, err = first.Recv()
	require.NoError(t, err)
}

// Certificates are replaced under open connections, which go on, and new ones get the new.
func TestKeysAreReplacedUnderOpenConnections(t *testing.T) {
	c := startCore(t, nil)
	before, fetch := c.secrets(), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")}
	_, err := before.Fetch(within(t), fetch)
	require.NoError(t, err)
	c.authority.install(c.directory, 2)
	c.server.Reload()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := before.Fetch(within(t), fetch)
			assert.NoError(t, err)
			_, err = c.secrets().Fetch(within(t), fetch)
			assert.NoError(t, err)
		})
	}
	all.Wait()
}

// counting counts the tokens that are looked at.
type counting struct {
	auth.Authenticator
	looked *atomic.Int64
}

func (c counting) Authenticate(ctx context.Context, token secret.Text) (auth.Caller, error) {
	c.looked.Add(1)
	return c.Authenticator.Authenticate(ctx, token)
}

// Bad tokens are looked at a few dozen times; who goes on is hung up on, and the log shows
// no more than some of them. Honest callers of the same address are served throughout.
func TestBadTokensKeepNobodyOut(t *testing.T) {
	var looked atomic.Int64
	c := startCore(t, func(config *coreserver.Config) { config.Authenticator = counting{config.Authenticator, &looked} })
	honest := c.secrets()
	fetch := &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: named("env")}
	_, err := honest.Fetch(within(t), fetch)
	require.NoError(t, err)
	hungUp := 0
	for range 20 {
		stranger := c.secrets()
		if _, err := stranger.Fetch(within(t), &secretsv1.FetchRequest{Callers: distinct(1000), Variables: named("env")}); err != nil {
			hungUp++
		}
		agent := c.agent()
		_, err := agent.GetVariables(bearing(within(t), "n33dle"), &agentv1.GetVariablesRequest{})
		require.Error(t, err)
		_, err = honest.Fetch(within(t), fetch)
		require.NoError(t, err)
	}
	assert.Greater(t, hungUp, 10)
	// A call notices some hundred tokens later that it was hung up on.
	assert.Less(t, looked.Load(), int64(10_000), "of 20,000 that were shown")
	assert.Less(t, len(c.audit.String()), 64<<10)
}
