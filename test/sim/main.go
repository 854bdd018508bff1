// Command sim holds one bundled core against thousands of nodes. Each node is the
// driver's own client, on a TLS connection of its own over loopback, with a Watch that
// stands and, when told of a change, a Fetch for its pods. It prints what that costs core
// as the number of nodes doubles, and what it comes to in a large fleet.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// budget is what an idle stream may take of core's memory, in bytes, its TLS connection
// included.
const budget = 64 << 10

// mostOff is how far a row may be off the line that shows the growth to be linear.
const mostOff = 0.1

func main() { os.Exit(cli.ExitCode("sim", run)) }

func run(ctx context.Context) error {
	bin := flag.String("bin", "bin", "the `directory` of the built binaries")
	first := flag.Int("first", 250, "the `number` of nodes to begin with")
	doublings := flag.Int("doublings", 4, "how `often` to double it, twice or more for a line; 0 leaves the rows out")
	pods := flag.Int("pods", 10, "how many pods of a node share a fetch")
	nodes := flag.Int("fleet", 5000, "how many nodes the largest cluster has; 0 leaves it out")
	bare := flag.String("bare", "", "be the bare server, with the certificate of that `directory`")
	document := flag.String("update", "", "a `file` to write the figures into, between its marks")
	flag.Parse()
	if err := raiseDescriptors(); err != nil {
		return fmt.Errorf("raising the limit of file descriptors: %w", err)
	}
	if *bare != "" {
		return beBareServer(ctx, *bare)
	}
	program, err := filepath.Abs(filepath.Join(*bin, "core"))
	if err != nil {
		return err
	}
	if *nodes > 0 {
		if err := runFleet(ctx, program, *nodes, *document); err != nil {
			return err
		}
	}
	if *doublings < 1 {
		return nil
	}
	return runRows(ctx, program, *first, *doublings, *pods, *document)
}

// runFleet measures the largest cluster.
func runFleet(ctx context.Context, program string, nodes int, document string) error {
	measured, err := measureFleet(ctx, program, nodes)
	if err != nil {
		return err
	}
	fmt.Print(measured)
	if err := measured.err(); err != nil || document == "" {
		return err
	}
	return replaceBlock(document, fleetMark, measured.String())
}

// runRows measures how the cost grows with the nodes, which are the driver's own client.
func runRows(ctx context.Context, program string, first, doublings, pods int, document string) error {
	s, err := start(ctx, program, pods, "--heartbeat="+heartbeat.String())
	if err != nil {
		return err
	}
	defer s.close()
	figures, err := s.measureAll(ctx, first, doublings)
	if err != nil {
		return err
	}
	text := report(figures, pods)
	fmt.Print(text)
	switch line := fit(figures); {
	case line.each > budget:
		return fmt.Errorf("a stream takes %.0f bytes of core's memory; %d is the budget", line.each, budget)
	case line.furthest(figures) > mostOff:
		return fmt.Errorf("core's memory does not grow linearly: a row is %.0f %% off the line", 100*line.furthest(figures))
	}
	if document != "" {
		return replaceBlock(document, rowsMark, text)
	}
	return nil
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
