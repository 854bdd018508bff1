package envshim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Watcher tells when a volume has another generation. The kernel's notice is only a
// hint to look at once; what "..data" names is the truth, and a slow poll finds it where
// no notice comes: the inotify limits are exhausted (they are counted by user and node),
// events overflowed, or the directory is not there yet.
type Watcher struct {
	Dir string
	// Poll is how often to look without a hint; ten times as often while there are no
	// hints to be had, or no generation.
	Poll time.Duration
	// Warn is told once when hints are not to be had.
	Warn func(error)
}

// describeDeaf is what to tell of a Watcher that gets no hints.
func describeDeaf(err error) string {
	return fmt.Sprintf("no notice of changes from the kernel, so looking every second instead: %v", err)
}

// Watch returns a channel of one slot that says "look again". A watch begins before
// Watch returns, so that what is read afterwards is old only if the channel says so. The
// channel is closed once ctx is done.
func (w Watcher) Watch(ctx context.Context) <-chan struct{} {
	hints, err := fsnotify.NewWatcher()
	if err == nil {
		err = hints.Add(w.Dir)
	}
	if err != nil {
		w.Warn(err)
	}
	changed := make(chan struct{}, 1)
	last := w.target()
	go func() {
		defer close(changed)
		w.loop(ctx, hints, last, changed)
	}()
	return changed
}

func (w Watcher) loop(ctx context.Context, hints *fsnotify.Watcher, last string, changed chan<- struct{}) {
	var events <-chan fsnotify.Event
	var faults <-chan error
	if hints != nil {
		defer func() { _ = hints.Close() }()
		events, faults = hints.Events, hints.Errors
	}
	for {
		poll := time.NewTimer(w.interval(hints, last))
		select {
		case <-ctx.Done():
			poll.Stop()
			return
		case <-events:
		case <-faults: //nolint:errcheck // whatever it is, an overflow among them, look
		case <-poll.C:
		}
		poll.Stop()
		if now := w.target(); now != last {
			last = now
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// interval is the time to the next look. A directory that came or came back is watched
// from then on.
func (w Watcher) interval(hints *fsnotify.Watcher, last string) time.Duration {
	isWatched := hints != nil && (len(hints.WatchList()) > 0 || hints.Add(w.Dir) == nil)
	if !isWatched || last == "" {
		return w.Poll / 10
	}
	return w.Poll
}

// target is what "..data" names, empty while there is none.
func (w Watcher) target() string {
	target, err := os.Readlink(filepath.Join(w.Dir, layout.DataLink))
	if err != nil {
		return ""
	}
	return target
}
