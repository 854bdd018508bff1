package filewatch

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Hints says when files may have changed. It watches their directories, because a file that is
// replaced by rename is another file, and a mounted volume of Kubernetes changes by its "..data"
// link. The kernel's notice is a hint that may be lost or refused: the inotify limits are
// exhausted, events overflowed, or a directory is not there yet. Polling is the truth.
type Hints struct {
	Files []string
	// Folders, if set, lists directories in which any file matters. It is asked again at each sign
	// of a change, and when Again says so, after which there is another hint.
	Folders func() []string
	Again   <-chan struct{}
	// Poll is how often to look without a notice, and Unwatched how often while one of the
	// directories cannot be watched; 0 stands for Poll.
	Poll, Unwatched time.Duration
	// Warn is called once, before Listen returns, if a directory cannot be watched.
	Warn func(error)
}

// Listen returns a channel of one slot that says "look again": at once, and then at every sign of
// a change. It says true if all that was seen since is that another file took a file's name, and
// so was written before. It is closed once ctx is done.
func (h Hints) Listen(ctx context.Context) <-chan bool {
	l := listener{Hints: h}
	for _, file := range h.Files {
		if directory := filepath.Dir(file); !slices.Contains(l.directories, directory) {
			l.directories = append(l.directories, directory)
		}
	}
	var err error
	if l.watcher, err = fsnotify.NewWatcher(); err == nil {
		err = l.subscribe()
	}
	if err != nil {
		h.Warn(err)
	}
	look := make(chan bool, 1)
	go func() {
		defer close(look)
		l.loop(ctx, look)
	}()
	return look
}

type listener struct {
	Hints
	directories []string // of Files
	folders     []string
	watcher     *fsnotify.Watcher // nil if the kernel has none to give
}

// subscribe watches the directories that are not watched yet: one may have come, or come back.
func (l *listener) subscribe() error {
	var errs []error
	watched := l.watcher.WatchList()
	if l.Folders != nil {
		l.folders = l.Folders()
	}
	for _, directory := range slices.Concat(l.directories, l.folders) {
		if !slices.Contains(watched, directory) {
			errs = append(errs, l.watcher.Add(directory))
		}
	}
	return errors.Join(errs...)
}

func (l *listener) loop(ctx context.Context, look chan bool) {
	if l.watcher != nil {
		defer func() { _ = l.watcher.Close() }()
	}
	// A look comes after the directories are watched: what changes later is noticed.
	poll := time.NewTimer(l.interval())
	defer poll.Stop()
	for renamed, more := false, true; more; {
		select {
		case before := <-look: // nobody took it yet
			renamed = renamed && before
		default:
		}
		look <- renamed
		if renamed, more = l.await(ctx, poll.C); more {
			poll.Reset(l.interval())
		}
	}
}

// await returns at the next sign of a change, and tells whether it is that a file was renamed;
// more is false once ctx is done.
func (l *listener) await(ctx context.Context, poll <-chan time.Time) (renamed, more bool) {
	var events <-chan fsnotify.Event
	var faults <-chan error
	if l.watcher != nil {
		events, faults = l.watcher.Events, l.watcher.Errors
	}
	for {
		select {
		case <-ctx.Done():
			return false, false
		case event := <-events:
			if l.concerns(event) {
				return isRenamed(event), true
			}
		case <-faults: //nolint:errcheck // whatever it is, an overflow among them, look
			return false, true
		case <-l.Again:
			return false, true
		case <-poll:
			return false, true
		}
	}
}

// interval is the time to the next look without a notice.
func (l *listener) interval() time.Duration {
	isWatched := l.watcher != nil && l.subscribe() == nil
	if !isWatched && l.Unwatched > 0 {
		return l.Unwatched
	}
	return l.Poll
}

func (l *listener) concerns(event fsnotify.Event) bool {
	name := filepath.Base(event.Name)
	isNamed := func(file string) bool { return filepath.Base(file) == name }
	if slices.Contains(l.folders, filepath.Dir(event.Name)) {
		return true
	}
	isGone := slices.Contains(l.directories, event.Name) // and fsnotify no longer watches it
	return isGone || strings.HasPrefix(name, "..data") || slices.ContainsFunc(l.Files, isNamed)
}

// isRenamed tells a file that came by its new name from one that was made under it. fsnotify calls
// both created, and says of the first alone which name it had, in the event's text.
func isRenamed(event fsnotify.Event) bool {
	return event.Has(fsnotify.Create) && strings.Contains(event.String(), `" ← "`)
}
