//go:build soak

// Package soak runs a node for a long time while pods come and go, secrets rotate and are
// withdrawn, and programs are killed, frozen and restarted, all at random. In the end
// everything must be as it was in the beginning: descriptors, goroutines, mounts, memory,
// and every volume right.
package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

var (
	length = flag.Duration("for", 30*time.Minute, "how `long` to go on")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "what the `order` of events is drawn from")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(mounttest.Run(m))
}

func TestNothingIsLeftOfALongLife(t *testing.T) {
	bin, err := stack.Build(filepath.Join("..", ".."), "soak")
	require.NoError(t, err)
	fmt.Printf("soaking for %v, -seed=%d\n", *length, *seed)
	// The programs outlive the test's context, so that what is mounted can be unmounted.
	s, err := stack.Start(context.WithoutCancel(t.Context()), stack.Options{Bin: bin, Connections: connections(1), Variables: "{}", Rules: rulesFor("*"),
		DriverArgs: []string{"--fetch-timeout=2s", "--offline-grace=30s"}, Profiles: true})
	require.NoError(t, err)
	n := &node{Stack: s, random: rand.New(rand.NewPCG(*seed, 0)), pods: map[string]stack.Pod{}, done: map[string]int{}, mark: 1}
	assert.NoError(t, n.soak(t.Context(), *length), "-seed=%d", *seed)
	fmt.Println("done:", n.done)
	assert.NoError(t, s.Close())
}

// soak has three parts: in the first the driver is killed too; from then on one and the
// same driver has to bear everything. In the second part it grows as large as it has to
// be, and after the third it is compared with itself.
func (n *node) soak(ctx context.Context, length time.Duration) error {
	if err := n.begin(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := n.live(ctx, began.Add(length/4), append(n.acts(), n.killDriver)); err != nil {
		return err
	}
	if err := n.live(ctx, began.Add(length/2), n.acts()); err != nil {
		return err
	}
	first, err := n.rest(ctx)
	if err != nil {
		return err
	}
	if err := n.live(ctx, began.Add(length), n.acts()); err != nil {
		return err
	}
	last, err := n.rest(ctx)
	if err != nil {
		return err
	}
	fmt.Println("first:", first)
	fmt.Println("last: ", last)
	return last.compare(first)
}
