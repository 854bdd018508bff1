// Package startuptaint takes the startup taint off the node once the driver can serve pods there: a new
// node, or one that has rebooted, takes no pod before that would only wait for its volume.
package startuptaint

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
)

// Key is that of the taint.
const Key = "secrets.csi.leoflow.io/driver-not-ready"

const (
	// pace is how often to look whether the driver is registered, which takes kubelet a second or two.
	pace = time.Second
	// slowest is how often to ask an API server that does not answer, or refuses.
	slowest = 30 * time.Second
)

// Nodes is what is asked of the API server.
type Nodes interface {
	// HasDriver tells whether kubelet has written the CSI driver into the node's CSINode.
	HasDriver(ctx context.Context, node, driver string) (bool, error)
	// RemoveTaint tells whether there was one.
	RemoveTaint(ctx context.Context, node, key string) (removed bool, err error)
}

// Remover removes the taint from one node.
type Remover struct {
	Nodes        Nodes
	Node, Driver string
	// Ready holds once kubelet has registered this process as the driver. A CSINode outlives a
	// reboot, and would by itself tell of the driver before.
	Ready func(context.Context) bool
	Log   *slog.Logger
}

// Run returns once the taint is gone, or ctx is done. It has no reason to go on: whoever starts the
// node anew starts the driver anew.
func (r Remover) Run(ctx context.Context) {
	told, wait := "", pace
	for {
		done, err := r.attempt(ctx)
		switch {
		case done:
			return
		case err == nil:
			wait = pace
		case ctx.Err() == nil:
			if text := err.Error(); text != told {
				r.Log.WarnContext(ctx, "cannot take the startup taint off the node yet", logkey.Error, err)
				told = text
			}
			wait = min(2*wait, slowest)
		}
		if !pause.Wait(ctx, wait) {
			return
		}
	}
}

func (r Remover) attempt(ctx context.Context) (done bool, err error) {
	if !r.Ready(ctx) { // which the readiness probe tells of
		return false, nil
	}
	registered, err := r.Nodes.HasDriver(ctx, r.Node, r.Driver)
	if err != nil || !registered {
		return false, err
	}
	removed, err := r.Nodes.RemoveTaint(ctx, r.Node, Key)
	if err != nil {
		return false, fmt.Errorf("removing the taint %s: %w", Key, err)
	}
	if removed {
		r.Log.InfoContext(ctx, "took the startup taint off the node: the driver is registered")
	}
	return true, nil
}
