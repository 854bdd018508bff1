package envshim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/leoflow/secrets-csi/internal/filewatch"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

const (
	// slowPoll is how often a volume is looked at without a notice of the kernel.
	slowPoll = 10 * time.Second
	// fastPoll is how often where there will be no notice: the directory cannot be watched, or
	// a volume may be mounted over the one that is.
	fastPoll = time.Second
)

// Wait reads the volume at dir as soon as it has a generation, or gives up once ctx is
// done. Only what waiting may cure is waited for.
func Wait(ctx context.Context, dir string, as ...Shape) (Snapshot, error) {
	snapshot, err := Read(dir, as...)
	if !errors.Is(err, ErrNotDelivered) {
		return snapshot, err
	}
	watching, stop := context.WithCancel(ctx)
	changed := watchGenerations(watching, dir, fastPoll, func(error) {})
	defer func() {
		stop()
		for range changed {
			continue
		}
	}()
	for {
		snapshot, err := Read(dir, as...)
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

// watchGenerations returns a channel of one slot that says "read again" once the volume at dir has
// another generation than when watchGenerations was called. It is closed once ctx is done. warn
// is told if the kernel gives no notice.
func watchGenerations(ctx context.Context, dir string, poll time.Duration, warn func(error)) <-chan struct{} {
	link := filepath.Join(dir, layout.DataLink)
	last, _ := os.Readlink(link)
	hints := filewatch.Hints{Files: []string{link}, Poll: poll, Unwatched: min(poll, fastPoll), Warn: warn}.Listen(ctx)
	changed := make(chan struct{}, 1)
	go func() {
		defer close(changed)
		for range hints {
			now, _ := os.Readlink(link)
			if now == last {
				continue
			}
			last = now
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed
}
