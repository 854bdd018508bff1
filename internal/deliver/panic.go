package deliver

import (
	"context"
	"errors"
	"log/slog"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/report"
)

// guard turns a panic of do into an error of the volume that it was for, so that it ends
// that volume's delivery and nothing else. Everything that runs in a goroutine of this
// package runs in a guard: no caller could catch it there.
func (d *Deliverer) guard(spec Volume, do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = d.panicked(spec, logkey.OfPanic(value))
		}
	}()
	err = do()
	if ended := (*logkey.Panic)(nil); errors.As(err, &ended) {
		return d.panicked(spec, ended.About)
	}
	return err
}

// panicked logs and counts a panic. Nothing of what it says comes from the value, which
// may hold anything.
func (d *Deliverer) panicked(spec Volume, about []slog.Attr) error {
	d.logger(spec).LogAttrs(context.Background(), slog.LevelError, "panic", append(about, slog.String(logkey.Source, spec.Provider))...)
	d.Observer.Panicked()
	return report.Failf(report.Internal, errPanic, "fault of the driver (%s); please report it with the driver's log", about[0].Value)
}

// errPanic is the cause of an Error that was a panic.
var errPanic = errors.New("panic")
