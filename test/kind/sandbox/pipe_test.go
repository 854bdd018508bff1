package sandbox

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAwaitTellsWhatTheNodeReports(t *testing.T) {
	for _, row := range []struct{ name, report, want string }{
		{"ready", ready, ""},
		{"failed", "starting etcd: no disk", "starting etcd: no disk"},
		{"ended", "", "its process 1 ended without a word"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ends := openPipes(t)
			_, err := ends.given[1].WriteString(row.report)
			require.NoError(t, err)
			ends.closeGiven()
			err = ends.await(t.Context())
			if row.want == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, row.want)
			}
		})
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, openPipes(t).await(ctx), context.Canceled)
}

func TestLease(t *testing.T) {
	ends := openPipes(t)
	nodes := leaseEnd{ends.given[0]}
	require.NoError(t, ends.lease.send(beginning))
	assert.NoError(t, nodes.await(beginning))
	require.NoError(t, ends.lease.file.Close())
	assert.EqualError(t, nodes.await(staying), "whoever started the node has gone")
}

func openPipes(t *testing.T) *pipes {
	t.Helper()
	ends, err := newPipes()
	require.NoError(t, err)
	t.Cleanup(ends.close)
	return ends
}
