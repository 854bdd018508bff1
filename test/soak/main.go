// Command soak runs a node for a long time while pods come and go, secrets rotate and are
// withdrawn, and programs are killed, frozen and restarted, all at random. In the end
// everything must be as it was in the beginning: descriptors, goroutines, mounts, memory,
// and every volume right.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/test/stack"
)

func main() { os.Exit(cli.ExitCode("soak", run)) }

func run(ctx context.Context) error {
	bin := flag.String("bin", "bin", "the `directory` of the built binaries")
	length := flag.Duration("for", 2*time.Minute, "how `long` to go on")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "what the `order` of events is drawn from")
	flag.Parse()
	absolute, err := filepath.Abs(*bin)
	if err != nil {
		return err
	}
	fmt.Printf("soaking for %v, --seed=%d\n", *length, *seed)
	// The programs outlive ctx, so that what is mounted can be unmounted.
	s, err := stack.Start(context.WithoutCancel(ctx), stack.Options{Bin: absolute, Connections: connections(1), Variables: "{}", Rules: rulesFor("*"),
		DriverArgs: []string{"--fetch-timeout=2s", "--offline-grace=30s"}, Profiles: true})
	if err != nil {
		return err
	}
	n := &node{Stack: s, random: rand.New(rand.NewPCG(*seed, 0)), pods: map[string]stack.Pod{}, done: map[string]int{}, mark: 1}
	err = n.soak(ctx, *length)
	fmt.Println("done:", n.done)
	return errors.Join(err, s.Close())
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
