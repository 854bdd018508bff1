//go:build sim

package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// node is a driver as core sees it.
type node struct {
	client *core.Client
	ended  chan struct{}
	cancel context.CancelFunc
	// told carries the time of each notice.
	told chan time.Time
}

// grow starts nodes until there are n, and returns once core has spoken to each.
func (s *sim) grow(ctx context.Context, n int) error {
	const handshakes = 32 // at once
	slots := make(chan struct{}, handshakes)
	errs := make(chan error, n)
	begin := len(s.nodes)
	for range n - begin {
		started, err := s.startNode()
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, started)
	}
	for _, started := range s.nodes[begin:] {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			if err := started.fetch(ctx, s); err != nil { // core tells it of what its pods may read
				errs <- err
				return
			}
			started.watch()
			_, err := started.next(ctx)
			errs <- err
		}()
	}
	var failures []error
	for range n - begin {
		failures = append(failures, <-errs)
	}
	return errors.Join(failures...)
}

func (s *sim) startNode() (*node, error) {
	client, err := core.New(core.Config{
		Address: s.Address(), ServerName: "core", CAFile: s.PKI.CA(), CertFile: s.path("node.crt"), KeyFile: s.path("node.key"),
		Timeout: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	return &node{client: client, told: make(chan time.Time, 8), ended: make(chan struct{})}, nil
}

func (n *node) watch() {
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(n.ended)
		_ = n.client.Watch(ctx, func(provider.Change) { n.told <- time.Now() })
	}()
}

func (n *node) next(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	select {
	case at := <-n.told:
		return at, nil
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("a node was told nothing: %w", ctx.Err())
	}
}

// fetch is what a driver does for the pods that a change concerns.
func (n *node) fetch(ctx context.Context, s *sim) error {
	pods := make([]provider.Identity, s.pods)
	for i := range pods {
		pods[i].Token = secret.New(s.tokens[i])
	}
	for _, outcome := range n.client.FetchGroup(ctx, pods, provider.Request{Connections: provider.Selection{All: true}}) {
		if outcome.Err != nil {
			return outcome.Err
		}
	}
	return nil
}

func (n *node) stop() {
	if n.cancel != nil {
		n.cancel()
		<-n.ended
	}
	_ = n.client.Close()
}

// told waits for every node to be told, and has each fetch if wanted. It returns how
// long after began each was through.
func (s *sim) told(ctx context.Context, began time.Time, fetch bool) ([]time.Duration, error) {
	delays, errs := make([]time.Duration, len(s.nodes)), make([]error, len(s.nodes))
	var all sync.WaitGroup
	for i, n := range s.nodes {
		all.Go(func() {
			at, err := n.next(ctx)
			if err == nil && fetch {
				err = n.fetch(ctx, s)
				at = time.Now()
			}
			delays[i], errs[i] = at.Sub(began), err
		})
	}
	all.Wait()
	return delays, errors.Join(errs...)
}
