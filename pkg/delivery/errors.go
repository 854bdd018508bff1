package delivery

import "github.com/leoflow/secrets-csi/internal/report"

type (
	// Error is a failed delivery.
	Error = report.Error
	// Reason says whose turn it is after one.
	Reason = report.Reason
)

// The reasons. Denied, missing and unavailable are never confused.
const (
	Internal        = report.Internal
	Unavailable     = report.Unavailable
	Unauthenticated = report.Unauthenticated
	Denied          = report.Denied
	Missing         = report.Missing
	Invalid         = report.Invalid
	NoSpace         = report.NoSpace
	BadTarget       = report.BadTarget
	Conflict        = report.Conflict
	Busy            = report.Busy
)

func failf(reason Reason, cause error, format string, args ...any) *Error {
	return report.Failf(reason, cause, format, args...)
}
