// Package audit writes down who was given what. A record holds names and versions,
// never a value or a token.
package audit

import (
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// Decision is how a request for one entry ended.
type Decision string

// The decisions, spelled as in the log.
const (
	Allowed         Decision = "allowed"
	Missing         Decision = "missing"         // may be read and is not there
	Denied          Decision = "denied"          // no rule allows it, whether or not it is there
	Invalid         Decision = "invalid"         // is there and cannot be served
	Unauthenticated Decision = "unauthenticated" // the token was refused; no caller, no entry
	Throttled       Decision = "throttled"       // the caller has filled its share of the log; no entry
)

// Outcome is what became of an answer whose records say allowed.
type Outcome string

// The outcomes, spelled as in the log. An allowed record without one is of a core that
// ended before it knew.
const (
	Sent   Outcome = "sent"   // handed to the connection
	Failed Outcome = "failed" // not, or not all of it
)

// Record is one line of the log.
type Record struct {
	Time time.Time `json:"time"`
	// Request is the same in all records of one call, and in no other's.
	Request string `json:"request,omitempty"`
	// Method is the RPC, such as "/leoflow.secrets.v1.SecretsService/Fetch".
	Method string `json:"method,omitempty"`
	// Peer is the address that the call came from: the node's, or the pod's where it asked itself.
	Peer string `json:"peer,omitempty"`
	// DriverNode is the node whose driver made the call, as the driver's token says; Node is
	// that of the pod's.
	DriverNode string `json:"driver_node,omitempty"`
	auth.Caller
	Kind  entry.Kind `json:"kind,omitempty"`
	Entry string     `json:"entry,omitempty"`
	// Team is whose entry it is; empty for all.
	Team     string   `json:"team,omitempty"`
	Version  string   `json:"version,omitempty"`
	Decision Decision `json:"decision,omitempty"`
	// Outcome stands in a record of its own, which ends a call that was allowed anything.
	Outcome Outcome `json:"outcome,omitempty"`
	// Count is how many refusals this record stands for; each other record is for one.
	Count int `json:"count,omitempty"`
	// Detail says why, for a person.
	Detail string `json:"detail,omitempty"`
}

// isRefusal tells the records of what was not given, of which anybody can cause any number.
func (r *Record) isRefusal() bool {
	return r.Decision != Allowed && r.Decision != ""
}

// Size is how many bytes the record takes in the log.
func (r *Record) Size() int { return len(appendLine(nil, r)) }
