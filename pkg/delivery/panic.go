package delivery

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

// guard turns a panic of do into an error of the volume that it was for, so that it ends
// that volume's delivery and nothing else. Everything that runs in a goroutine of this
// package runs in a guard: no caller could catch it there.
func (d *Deliverer) guard(spec Volume, do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = d.panicked(spec, value)
		}
	}()
	return do()
}

// panicked logs and counts a panic. Nothing of what it says comes from the value, which
// may hold anything.
func (d *Deliverer) panicked(spec Volume, value any) error {
	text := panicText(value)
	d.logger(spec).Error("panic", slog.String(logkey.Provider, spec.Provider),
		slog.String(logkey.Cause, text), slog.String(logkey.Stack, stack()))
	d.Observer.Panicked()
	return failf(Internal, errPanic, "fault of the driver (%s); please report it with the driver's log", text)
}

// errPanic is the cause of an Error that was a panic.
var errPanic = errors.New("panic")

// panicText quotes what the runtime says; of any other value it tells the type.
func panicText(value any) string {
	if err, ok := value.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("value of type %T", value)
}

// stack is where the code that panicked stood: functions and lines, and no arguments.
func stack() string {
	var counters [64]uintptr
	const ourselves = 4 // runtime.Callers, stack, panicked, and the function that recovered
	frames := runtime.CallersFrames(counters[:runtime.Callers(ourselves, counters[:])])
	var text strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&text, "%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		if !more {
			return text.String()
		}
	}
}
