package report

import (
	"context"
	"errors"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

// Guard turns a panic into an error of the volume that it was met at, so that it ends that
// volume's delivery and nothing else. Every goroutine that works for a volume runs in one: no
// caller could catch it there.
type Guard struct{ *Readers }

// Run does it. Its error of a panic is an *Error that wraps ErrPanic.
func (g Guard) Run(volume Volume, do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = g.panicked(volume, logkey.OfPanic(value))
		}
	}()
	err = do()
	if ended := (*logkey.Panic)(nil); errors.As(err, &ended) {
		return g.panicked(volume, ended.About)
	}
	return err
}

// panicked logs and counts a panic. Nothing of what it says comes from the value, which
// may hold anything.
func (g Guard) panicked(volume Volume, about []slog.Attr) error {
	log := g.Log.With(volume.LogAttrs()...)
	log.LogAttrs(context.Background(), slog.LevelError, "panic", append(about, slog.String(logkey.Source, volume.Source))...)
	g.Observer.Panicked()
	return Failf(Internal, ErrPanic, "fault of the driver (%s); please report it with the driver's log", about[0].Value)
}

// ErrPanic is the cause of an Error that was a panic.
var ErrPanic = errors.New("panic")
