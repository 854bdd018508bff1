//go:build sim

// Package sim holds one bundled core against thousands of nodes. Each node is the
// driver's own client, on a TLS connection of its own over loopback, with a Watch that
// stands and, when told of a change, a Fetch for its pods. It tells what that costs core
// as the number of nodes doubles, and what it comes to in a large fleet.
package sim

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
)

const (
	// budget is what an idle stream may take of core's memory, in bytes, its TLS connection
	// included.
	budget = 64 << 10
	// mostOff is how far a row may be off the line that shows the growth to be linear.
	mostOff = 0.1
)

var (
	first     = flag.Int("first", 250, "the `number` of nodes to begin with")
	doublings = flag.Int("doublings", 4, "how `often` to double it, twice or more for a line")
	pods      = flag.Int("pods", 10, "how many pods of a node share a fetch")
	nodes     = flag.Int("fleet", 5000, "how many nodes the largest cluster has")
	bare      = flag.String("bare", "", "be the bare server, with the certificate of that `directory`")
	update    = flag.Bool("update", false, "write the figures into docs/scale.md")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *bare != "" {
		os.Exit(cli.ExitCode("sim", func(ctx context.Context) error { return beBareServer(ctx, *bare) }))
	}
	if err := raiseDescriptors(); err != nil {
		fmt.Fprintln(os.Stderr, "raising the limit of file descriptors:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

var program, document = filepath.Join("..", "..", "bin", "core"), filepath.Join("..", "..", "docs", "scale.md")

// untilInterrupted is as long as the test takes, which is minutes.
func untilInterrupted(t *testing.T) context.Context {
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	return ctx
}

// The largest cluster is told of a change as soon as a bare server could.
func TestTheLargestCluster(t *testing.T) {
	measured, err := measureFleet(untilInterrupted(t), program, *nodes)
	require.NoError(t, err)
	t.Log("\n" + measured.String())
	require.NoError(t, measured.err())
	if *update {
		require.NoError(t, replaceBlock(document, fleetMark, measured.String()))
	}
}

// The cost grows with the nodes, which are the driver's own client, and with nothing else.
func TestCoreGrowsWithTheNodes(t *testing.T) {
	ctx := untilInterrupted(t)
	s, err := start(ctx, program, *pods, "--heartbeat="+heartbeat.String())
	require.NoError(t, err)
	t.Cleanup(s.close)
	figures, err := s.measureAll(ctx, *first, *doublings)
	require.NoError(t, err)
	text, line := report(figures, *pods), fit(figures)
	t.Log("\n" + text)
	assert.LessOrEqual(t, line.each, float64(budget), "bytes of core's memory for each stream")
	assert.LessOrEqual(t, line.furthest(figures), mostOff, "how far a row is off the line")
	if *update && !t.Failed() {
		require.NoError(t, replaceBlock(document, rowsMark, text))
	}
}

// raiseDescriptors makes room for a connection for each node, here and in core.
func raiseDescriptors() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}
