package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Reason says whose turn it is after a failed delivery.
type Reason int

// The reasons. Denied, missing and unavailable are never confused.
const (
	Internal        Reason = iota // a fault of this node or this program
	Unavailable                   // the provider cannot be asked now; trying again helps
	Unauthenticated               // the pod's token is absent, expired or refused
	Denied                        // a required entry is not for this pod
	Missing                       // a required entry does not exist
	Invalid                       // a required entry exists and cannot be delivered
	NoSpace                       // the values do not fit into the volume
	NoMemory                      // the node's driver has no memory for it now
	BadTarget                     // the target path is not ours to mount on
	Conflict                      // the volume is live at another target path
	Busy                          // another call for the volume is under way
	Cancelled                     // the caller gave it up
	Deadline                      // the caller's time was over
)

// String is the reason as logs and metrics spell it.
func (r Reason) String() string {
	switch r {
	case Unavailable:
		return "unavailable"
	case Unauthenticated:
		return "unauthenticated"
	case Denied:
		return "denied"
	case Missing:
		return "missing"
	case Invalid:
		return "invalid"
	case NoSpace:
		return "no_space"
	case NoMemory:
		return "no_memory"
	case BadTarget:
		return "bad_target"
	case Conflict:
		return "conflict"
	case Busy:
		return "busy"
	case Cancelled:
		return "cancelled"
	case Deadline:
		return "deadline"
	case Internal:
	}
	return "internal"
}

// Error is a failed delivery: the reason, and a message for the person whose turn it
// is. It holds no value.
type Error struct {
	Reason  Reason
	Message string
	// Full is the message before it was made to fit into an event; empty if it did.
	Full string
	// Entries are the lines of those that it is about, where it is about entries.
	Entries []layout.Entry
	// Unresolved is set if it is for the reference of one.
	Unresolved bool
	Cause      error
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Cause }

// whole is the message with all that an event has no room for.
func (e *Error) whole() string { return cmp.Or(e.Full, e.Message) }

// GivenUpFor is why the caller of an ended context waits no more.
func GivenUpFor(ctx context.Context) Reason {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Deadline
	}
	return Cancelled
}

// Failf makes an Error. The cause may be nil.
func Failf(reason Reason, cause error, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Cause: cause}
}
