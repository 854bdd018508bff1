package logkey

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
)

// maxFrames is more than a call of ours is deep.
const maxFrames = 64

// OfPanic are the attributes of a line about a panic. They hold functions and lines of
// source, and none of the words that Go's own trace prints of arguments.
func OfPanic(value any) []slog.Attr {
	return []slog.Attr{slog.String(Cause, panicText(value)), slog.String(Stack, stack())}
}

// Panic is the error of a call that ended in a panic on a goroutine of its own, where its
// caller could not catch it.
type Panic struct {
	// About is what OfPanic told there.
	About []slog.Attr
}

func (p *Panic) Error() string { return "panic: " + p.About[0].Value.String() }

// panicText quotes what the runtime says; of any other value, which might hold
// anything, it tells the type.
func panicText(value any) string {
	if err, ok := value.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("value of type %T", value)
}

func stack() string {
	callers := make([]uintptr, maxFrames)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	var text strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&text, "%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		if !more {
			return text.String()
		}
	}
}
