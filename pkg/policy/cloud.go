package policy

import (
	"context"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// cloud is what differs from one cloud to the next. A new cloud is one type with these
// methods and a place in clouds.
type cloud interface {
	Processor
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
	grade Grade
	// reference is to be fetched and handed to accept; nil if there is none.
	reference *Reference
}

func clouds() []cloud { return []cloud{GCP{}, AWS{}, Azure{}} }

func cloudOf(connType string) cloud {
	for _, one := range clouds() {
		if one.serves(strings.ToLower(connType)) {
			return one
		}
	}
	return nil
}

// Clouds is the chain of every cloud this project knows, and of what none of them
// serves.
func Clouds() Chain {
	var chain Chain
	for _, one := range clouds() {
		chain = append(chain, one)
	}
	return append(chain, Unserved{})
}

// process is the one path of all clouds: choose, fetch if need be, accept.
func process(ctx context.Context, c cloud, conn airflow.Connection, resolve Resolve) (Outcome, error) {
	if !c.serves(strings.ToLower(conn.Type)) {
		return Outcome{Connection: conn}, nil
	}
	d, err := begin(c, conn)
	if err != nil {
		return Outcome{}, err
	}
	chosen, err := c.choose(d)
	if err != nil {
		return Outcome{}, err
	}
	if chosen.reference != nil {
		if err := fetch(ctx, c, d, *chosen.reference, resolve); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{Connection: d.close(), Grade: chosen.grade, Notices: d.notices}, nil
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
