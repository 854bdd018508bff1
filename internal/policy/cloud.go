package policy

import (
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
)

// cloud is what differs from one cloud to the next. A new cloud is one type with these
// methods and a place in clouds.
type cloud interface {
	serves(connType string) bool
	// prefix is that of the legacy names of a type's extra fields, or "".
	prefix(connType string) string
	// choose takes one credential of those that the connection has, takes the others
	// out and leaves the fields as the hook reads them.
	choose(d *draft) (choice, error)
	// accept puts a fetched secret where the hook reads it. Its error completes "the
	// fetched secret …".
	accept(d *draft, fetched string) error
}

// choice is the credential that a connection is delivered with.
type choice struct {
	grade entry.Grade
	// reference is to be fetched and handed to accept; nil if there is none.
	reference *entry.Reference
}

func clouds() []cloud { return []cloud{gcp{}, aws{}, azure{}} }

func cloudOf(connType string) cloud {
	for _, one := range clouds() {
		if one.serves(strings.ToLower(connType)) {
			return one
		}
	}
	return nil
}

// begin opens a connection of a type that the cloud serves. Airflow keeps capitals in a
// type that comes as JSON, and hooks go on with no more than a warning.
func begin(c cloud, conn airflow.Connection) (*draft, error) {
	kind := strings.ToLower(conn.Type)
	d, err := open(conn, c.prefix(kind))
	if err == nil && conn.Type != kind {
		d.conn.Type = kind
		d.notice(ReadAsMeant, "conn_type was delivered in small letters, as hooks are found by them; write it so")
	}
	return d, err
}
