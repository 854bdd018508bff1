package envshim

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// slowPoll is how often a volume is looked at without a hint from the kernel.
const slowPoll = 10 * time.Second

// Wait reads the volume at dir as soon as it has a generation, or gives up once ctx is
// done. Only what waiting may cure is waited for.
func Wait(ctx context.Context, dir string) (Snapshot, error) {
	snapshot, err := Read(dir)
	if !errors.Is(err, ErrNotDelivered) {
		return snapshot, err
	}
	watching, stop := context.WithCancel(ctx)
	changed := Watcher{Dir: dir, Poll: slowPoll, Warn: func(error) {}}.Watch(watching)
	defer func() {
		stop()
		for range changed {
			continue
		}
	}()
	for {
		snapshot, err := Read(dir)
		if !errors.Is(err, ErrNotDelivered) {
			return snapshot, err
		}
		select {
		case <-ctx.Done():
			return Snapshot{}, fmt.Errorf("gave up waiting: %w", err)
		case <-changed:
		}
	}
}
