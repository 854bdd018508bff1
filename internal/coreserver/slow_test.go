package coreserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/gate"
	"github.com/leoflow/secrets-csi/internal/testheap"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// deaf is a connection that reads no more than a handshake takes.
type deaf struct {
	net.Conn
	read  int
	ended <-chan struct{}
}

func (d *deaf) Read(into []byte) (int, error) {
	if d.read > 16<<10 {
		<-d.ended
		return 0, net.ErrClosed
	}
	n, err := d.Conn.Read(into[:min(len(into), 2048)])
	d.read += n
	return n, err
}

// deafly makes connections of a node that reads no answer before the test ends.
func (c *core) deafly() (dial func() *grpc.ClientConn) {
	ended := make(chan struct{})
	var conns []*grpc.ClientConn
	c.t.Cleanup(func() {
		close(ended)
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return func() *grpc.ClientConn {
		conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: c.authority.Pool(), Certificates: []tls.Certificate{c.authority.pair("node-1")},
		})), grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			return &deaf{Conn: raw, ended: ended}, err
		}), grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<10))
		require.NoError(c.t, err)
		conns = append(conns, conn)
		return conn
	}
}

// One node opened 132 watches and read none of them: each was a list of 20,000 names, and core was killed.
func TestWatchesThatNobodyReadTakeTheirShare(t *testing.T) {
	const entries, connections, each = 20_000, 12, 4
	c := startCore(t, func(config *coreserver.Config) { config.Memory = 64 << 20 })
	var text strings.Builder
	for i := range entries {
		fmt.Fprintf(&text, "variable_of_some_length_%d: x\n", i)
	}
	c.write("variables.yaml", text.String())
	c.server.Reload()
	dial := c.deafly()
	before := testheap.InUse()
	for range connections {
		conn := dial()
		for range each {
			_, err := secretsv1.NewSecretsServiceClient(conn).Watch(within(t), &secretsv1.WatchRequest{})
			require.NoError(t, err)
		}
	}
	begun := func() bool { return strings.Count(c.audit.String(), `"decision":"allowed"`) >= connections*each }
	for range 10 {
		assert.Less(t, testheap.InUse()-before, int64(24<<20))
	}
	require.Eventually(t, begun, testwait.Limit, time.Millisecond)
	assert.Less(t, testheap.InUse()-before, int64(24<<20))
}

// Each answer that had not left had all that core knew when it was made in memory, for 30 seconds: one a second
// beside a large file that changed as often was ten times that file.
func TestAnAnswerThatNobodyReadsKeepsNothingElse(t *testing.T) {
	const answers = 12
	c := startCore(t, func(config *coreserver.Config) { config.Memory = 256 << 20 })
	dial := c.deafly()
	write := func(i int) {
		var text strings.Builder
		fmt.Fprintf(&text, "env: %s\n", strings.Repeat("x", 256<<10))
		for j := range 20_000 {
			fmt.Fprintf(&text, "variable_of_some_length_%d: \"%d\"\n", j, i)
		}
		c.write("variables.yaml", text.String())
		c.server.Reload()
	}
	write(0)
	before := testheap.InUse()
	for i := range answers {
		write(1 + i)
		conn := dial()
		request := &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Variables: &secretsv1.Selection{Names: []string{"env"}}}
		go func() { _, _ = secretsv1.NewSecretsServiceClient(conn).Fetch(within(t), request) }()
		require.Eventually(t, func() bool { return strings.Count(c.audit.String(), `"decision":"allowed"`) > i }, testwait.Limit, time.Millisecond)
	}
	assert.Less(t, testheap.InUse()-before, int64(40<<20))
}

// blocked answers for the one token before its test ends.
type blocked struct {
	auth.Authenticator
	token string
	ended <-chan struct{}
}

func (b blocked) Authenticate(ctx context.Context, token secret.Text) (auth.Caller, error) {
	if token.Reveal() == b.token {
		<-b.ended
	}
	return b.Authenticator.Authenticate(ctx, token)
}

// Thirty-two connections of 32 calls, of which most waited for their turn, took 40 MB of core's 128 with what they
// asked for.
func TestACallThatWaitsForItsTurnIsOnItsWayIn(t *testing.T) {
	ended, begun := make(chan struct{}), make(chan struct{}, 1)
	c := startCore(t, func(config *coreserver.Config) {
		config.Memory, config.Authenticator = 64<<20, blocked{config.Authenticator, "slow", ended}
		config.Now = func() time.Time { // which a call that has come in asks first
			select {
			case begun <- struct{}{}:
			default:
			}
			return time.Now()
		}
	})
	request := &secretsv1.FetchRequest{Callers: []*secretsv1.Caller{{Token: "slow"}}, Variables: &secretsv1.Selection{}}
	for i := range 1000 {
		request.Variables.Names = append(request.Variables.Names, fmt.Sprintf("%0200d", i))
	}
	conns := make([]*grpc.ClientConn, 4)
	for i := range conns {
		conns[i] = c.dial(c.authority.pair("node-1"))
		good := &secretsv1.FetchRequest{Callers: []*secretsv1.Caller{{Token: c.token("daily")}}, Variables: &secretsv1.Selection{All: true}} // so that it is no stranger's
		_, err := secretsv1.NewSecretsServiceClient(conns[i]).Fetch(within(t), good)
		require.NoError(t, err)
	}
	first := make(chan error, 1)
	begin := func(conn *grpc.ClientConn) {
		_, err := secretsv1.NewSecretsServiceClient(conn).Fetch(within(t), request)
		select {
		case first <- err:
		default:
		}
	}
	var err error
	for i := 0; i < 32*len(conns) && err == nil; i++ { // 26 MiB, one after the other, of which 8 may wait
		select {
		case <-begun: // by what is no call
		default:
		}
		go begin(conns[i%len(conns)])
		select {
		case <-begun:
		case err = <-first:
		}
	}
	if err == nil {
		err = testwait.Receive(t, first)
	}
	assert.True(t, status.Code(err) == codes.Unavailable || isCrowd(err), "core has hung up or said so, and had none wait in vain")
	close(ended)
}

func isCrowd(err error) bool {
	return strings.Contains(status.Convert(err).Message(), gate.ErrCrowd.Error())
}

// What came in before its call had begun was not counted, and that was most of it: 64 nodes had 13 MiB wait.
func TestCallsThatAreOneTooManyAreToldSo(t *testing.T) {
	ended := make(chan struct{})
	c := startCore(t, func(config *coreserver.Config) {
		config.Memory, config.Authenticator = 64<<20, blocked{config.Authenticator, "slow", ended}
	})
	request := &secretsv1.FetchRequest{Callers: []*secretsv1.Caller{{Token: "slow"}}, Variables: &secretsv1.Selection{}}
	for i := range 1000 {
		request.Variables.Names = append(request.Variables.Names, fmt.Sprintf("%0200d", i))
	}
	answers := make(chan error, 64)
	for i := range cap(answers) {
		conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: c.authority.Pool(), Certificates: []tls.Certificate{c.authority.pair("node-1")},
		})), grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}}
			return from.DialContext(ctx, "tcp", address)
		}))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			_, err := secretsv1.NewSecretsServiceClient(conn).Fetch(within(t), request)
			answers <- err
		}()
	}
	err := testwait.Receive(t, answers)
	assert.True(t, isCrowd(err), err)
	close(ended)
}
