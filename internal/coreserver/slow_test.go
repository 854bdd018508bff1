package coreserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/testwait"
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
	ended := make(chan struct{})
	var conns []*grpc.ClientConn
	t.Cleanup(func() {
		close(ended)
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	before := heap()
	for range connections {
		conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: c.authority.Pool(), Certificates: []tls.Certificate{c.authority.pair("node-1")},
		})), grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			return &deaf{Conn: raw, ended: ended}, err
		}), grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(64<<10))
		require.NoError(t, err)
		conns = append(conns, conn)
		for range each {
			_, err := secretsv1.NewSecretsServiceClient(conn).Watch(within(t), &secretsv1.WatchRequest{})
			require.NoError(t, err)
		}
	}
	begun := func() bool { return strings.Count(c.audit.String(), `"decision":"allowed"`) >= connections*each }
	for range 10 {
		assert.Less(t, heap()-before, int64(24<<20))
	}
	require.Eventually(t, begun, testwait.Limit, time.Millisecond)
	assert.Less(t, heap()-before, int64(24<<20))
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
