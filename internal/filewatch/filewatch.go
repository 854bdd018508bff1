// Package filewatch tells when files may have changed.
package filewatch

import (
	"context"
	"log/slog"
	"slices"
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

// Places are what is watched: files, and folders in which any file matters, which are asked for
// again after each look. Folders may be nil.
type Places struct {
	Files   []string
	Folders func() []string
}

func (p Places) folders() []string {
	if p.Folders == nil {
		return nil
	}
	return p.Folders()
}

// Watch calls look at once and whenever something in places may have changed, until ctx ends, never
// twice at once.
func Watch(ctx context.Context, log *slog.Logger, places Places, poll time.Duration, look func()) {
	again := make(chan struct{}, 1)
	hints := Hints{Files: places.Files, Folders: places.Folders, Again: again, Poll: poll, Warn: func(err error) {
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
				if renamed && known.replaced(places.Files) {
					wait = 0
				}
			}
			settled = time.After(max(min(wait, time.Until(last)), time.Until(looked.Add(longest))))
		case <-settled:
			settled = nil
			before := places.folders()
			known = statesOf(places.Files)
			look()
			looked = time.Now()
			// What changed in a folder before that was watched was noticed by nobody.
			if !slices.Equal(before, places.folders()) {
				select {
				case again <- struct{}{}:
				default:
				}
			}
		}
	}
}
