// Package filewatch tells when files may have changed.
package filewatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

const (
	// quiet is how long nothing must happen before files that are written in place are looked
	// at: they may be half written. One that is replaced by rename is whole at the first sign.
	quiet = 5 * time.Millisecond
	// longest is how long after the first sign they are looked at in any case, and the
	// least between two looks, so that a storm of changes is twenty of them a second.
	longest = 50 * time.Millisecond
)

// Watch calls look at once and whenever one of the files may have changed, until ctx ends, never
// twice at once.
func Watch(ctx context.Context, log *slog.Logger, files []string, poll time.Duration, look func()) {
	hints := Hints{Files: files, Poll: poll, Warn: func(err error) {
		log.Warn("cannot be notified of file changes; polling alone", logkey.Error, err)
	}}.Listen(ctx)
	var settled <-chan time.Time
	var last, looked time.Time
	var known states
	for {
		select {
		case renamed, open := <-hints:
			if !open {
				return
			}
			wait := quiet
			if settled == nil {
				last = time.Now().Add(longest)
				if renamed && known.replaced(files) {
					wait = 0
				}
			}
			settled = time.After(max(min(wait, time.Until(last)), time.Until(looked.Add(longest))))
		case <-settled:
			settled = nil
			known = statesOf(files)
			look()
			looked = time.Now()
		}
	}
}
