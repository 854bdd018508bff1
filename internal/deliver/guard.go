package deliver

import (
	"context"
	"errors"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/report"
)

// guard turns a panic into an error of the volume that it was met at, so that it ends that
// volume's delivery and nothing else. Everything that runs in a goroutine of this package runs in
// a guard: no caller could catch it there.
type guard struct{ *Config }

func (g guard) run(spec Volume, do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = g.panicked(spec, logkey.OfPanic(value))
		}
	}()
	err = do()
	if ended := (*logkey.Panic)(nil); errors.As(err, &ended) {
		return g.panicked(spec, ended.About)
	}
	return err
}

// panicked logs and counts a panic. Nothing of what it says comes from the value, which
// may hold anything.
func (g guard) panicked(spec Volume, about []slog.Attr) error {
	log := g.Log.With(subject(spec).LogAttrs()...)
	log.LogAttrs(context.Background(), slog.LevelError, "panic", append(about, slog.String(logkey.Source, spec.Provider))...)
	g.Observer.Panicked()
	return report.Failf(report.Internal, errPanic, "fault of the driver (%s); please report it with the driver's log", about[0].Value)
}

// errPanic is the cause of an Error that was a panic.
var errPanic = errors.New("panic")
