package policy

import "github.com/leoflow/secrets-csi/pkg/entry"

// The states of a grade, which is what can be said about a connection's credential by
// looking at it, without a network. They are part of the manifest and do not change.
const (
	// Valid: nothing is missing and nothing contradicts itself.
	Valid = "valid"
	// Runtime: whether it works is decided when the task runs.
	Runtime = "runtime"
	// Broken: it cannot work, or would work under an identity that nobody meant.
	Broken = "broken"
)

func valid(reason string) entry.Grade   { return entry.Grade{State: Valid, Reason: reason} }
func runtime(reason string) entry.Grade { return entry.Grade{State: Runtime, Reason: reason} }
func broken(reason string) entry.Grade  { return entry.Grade{State: Broken, Reason: reason} }
