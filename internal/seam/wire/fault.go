package wire

import (
	"context"
	"errors"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// mostOfFault bounds the text of an error.
const mostOfFault = 16 << 10

// Marks of an error besides what it wraps.
const (
	markOfCall    = 1 << 62
	markOfAccount = 1 << 61
	isError       = 1 << 60
)

// wrapped are the errors that are told apart across the line. Their places in the list are the
// protocol.
func wrapped() [10]error {
	return [...]error{
		call.ErrUnavailable, call.ErrUnauthenticated, call.ErrDenied, call.ErrProtocol, call.ErrTooLarge,
		call.ErrWatchUnsupported, seam.ErrOutgrown, report.ErrPanic, context.Canceled, context.DeadlineExceeded,
	}
}

// fault writes an error, or that there is none.
func (w *writer) fault(err error) {
	if err == nil {
		w.uint(0)
		return
	}
	marks := uint64(isError)
	for i, one := range wrapped() {
		if errors.Is(err, one) {
			marks |= 1 << i
		}
	}
	switch {
	case call.IsOfAccount(err):
		marks |= markOfAccount
	case call.IsOfCall(err):
		marks |= markOfCall
	}
	w.uint(marks)
	text := err.Error()
	w.text(text[:min(len(text), mostOfFault)])
}

// fault is an error of the other half: its text, and what it wraps there.
func (r *reader) fault() error {
	marks := r.uint()
	if marks == 0 {
		return nil
	}
	text := r.text()
	if len(text) > mostOfFault {
		r.fail()
	}
	far := &farError{text: text}
	for i, one := range wrapped() {
		if marks&(1<<i) != 0 {
			far.wrapped = append(far.wrapped, one)
		}
	}
	switch {
	case marks&markOfAccount != 0:
		return call.OfAccount(far)
	case marks&markOfCall != 0:
		return call.OfCall(far)
	case errors.Is(far, report.ErrPanic):
		return report.Failf(report.Internal, report.ErrPanic, "%s", text)
	}
	return far
}

// farError is an error of the other half.
type farError struct {
	text    string
	wrapped []error
}

func (e *farError) Error() string   { return e.text }
func (e *farError) Unwrap() []error { return e.wrapped }
