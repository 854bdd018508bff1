package policy

import (
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

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

// Codes of notices. They are part of the manifest and do not change.
const (
	// KeyStoredInCore: the connection carries a cloud's key, stored in core or wherever the
	// connection is from.
	KeyStoredInCore = "key-stored-in-core"
	// CredentialIgnored: a credential was taken out, because another one comes first.
	CredentialIgnored = "credential-ignored"
	// ReadAsMeant: a field that upstream would have misread was delivered as it was
	// meant.
	ReadAsMeant = "read-as-meant"
)

func (d *draft) notice(code, message string) {
	d.notices = append(d.notices, entry.Notice{Code: code, Message: message})
}

func (d *draft) storedKey(field, remedy string) {
	d.notice(KeyStoredInCore, field+" holds a cloud key that is stored with the connection; "+remedy)
}

func (d *draft) ignored(field, winner string) {
	d.notice(CredentialIgnored, field+" was taken out, because "+winner+" comes first; remove one of them")
}

// refuse fails the connection. Like every error about a field it leaves the conn_id to
// whoever reports it.
func refuse(field, reason string) error {
	return &airflow.FieldError{Field: field, Reason: reason}
}
