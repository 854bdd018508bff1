package policy

import (
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

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
