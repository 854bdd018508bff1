package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/cgroup"
	"github.com/leoflow/secrets-csi/internal/daemon"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// bounded is a Fetcher within the memory of its container: what there is no room for waits, by
// namespace in turn, for as long as a fetch of its source may take.
type bounded struct {
	seam.Fetcher
	memory *budget.Budget
}

// newBudget reckons with what the container may take, and lets the collector follow. Without a limit there is no
// bound.
func newBudget() *budget.Budget {
	group, found := cgroup.MemoryOf(os.DirFS("/"))
	if !found {
		return budget.New(0, nil)
	}
	return budget.New(group.Limit, daemon.HeapLimit())
}

// Fetch implements seam.Fetcher.
func (b bounded) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	size, largest := work.MaxBytes, b.memory.LargestAnswer()
	if size > largest { // the driver may have more room, and an answer that takes it gets none
		size, work.MaxBytes, work.Partial = largest, largest, true
	}
	source, _ := b.Source(work.Source)
	turn, err := b.memory.Enter(ctx, max(source.FetchFor, time.Second), work.Volumes[0].Pod.Namespace, budget.Weight(size))
	if err != nil {
		return provider.OfCall(fmt.Errorf("%w: the node's fetcher: %w", provider.ErrUnavailable, err))
	}
	defer turn.Leave()
	return b.Fetcher.Fetch(ctx, work, taker)
}
