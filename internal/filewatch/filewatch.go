// Package filewatch tells when files may have changed.
package filewatch

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

const (
	// quiet is how long nothing must happen before the files are looked at: one that is
	// replaced by rename is whole at the first sign, one that is written in place is not.
	quiet = 5 * time.Millisecond
	// longest is how long after the first sign they are looked at in any case, and the
	// least between two looks, so that a storm of changes is twenty of them a second.
	longest = 50 * time.Millisecond
)

// Watch calls look whenever one of the files may have changed, until ctx ends, never
// twice at once. It watches the directories, because a file that is replaced by rename
// is another file, and a mounted Kubernetes Secret changes by its "..data" link. The
// kernel's word is a hint that may be lost or refused; looking every poll is the truth.
func Watch(ctx context.Context, log *slog.Logger, files []string, poll time.Duration, look func()) {
	events, stop := subscribe(log, files)
	defer stop()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	look() // for what changed before the subscription
	var settled <-chan time.Time
	var last, looked time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if !concerns(event, files) {
				continue
			}
			if settled == nil {
				last = time.Now().Add(longest)
			}
			settled = time.After(max(min(quiet, time.Until(last)), time.Until(looked.Add(longest))))
		case <-settled:
			settled = nil
			look()
			looked = time.Now()
		case <-ticker.C:
			look()
		}
	}
}

// subscribe watches the files' directories. Where that is not possible it says so and
// gives a channel on which nothing comes.
func subscribe(log *slog.Logger, files []string) (<-chan fsnotify.Event, func()) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("cannot be notified of file changes; polling alone", logkey.Error, err)
		return nil, func() {}
	}
	for directory := range directories(files) {
		if err := watcher.Add(directory); err != nil {
			log.Warn("cannot be notified of file changes; polling alone", logkey.Path, directory, logkey.Error, err)
		}
	}
	go func() {
		for range watcher.Errors { // an overflow among them; polling makes up for it
		}
	}()
	return watcher.Events, func() { _ = watcher.Close() }
}

func directories(files []string) map[string]struct{} {
	set := map[string]struct{}{}
	for _, file := range files {
		set[filepath.Dir(file)] = struct{}{}
	}
	return set
}

func concerns(event fsnotify.Event, files []string) bool {
	name := filepath.Base(event.Name)
	if strings.HasPrefix(name, "..data") {
		return true
	}
	for _, file := range files {
		if filepath.Base(file) == name {
			return true
		}
	}
	return false
}
