// Package policy decides which credential of a connection is used, before anything is
// rendered: a stored key, which comes with a notice, then a reference, whose secret is
// fetched under the pod's own identity, then none, so that the task goes keyless. By the
// time an Airflow hook sees the connection it holds only fields the hook knows.
//
// It is pure: it asks nobody, and the same connection is decided the same way.
package policy

import (
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Apply rewrites a delivered connection: one credential stays, and what the operator
// should know is its grade and its notices. Where the credential is to be fetched, the
// entry is given its Reference instead and awaits Complete. A connection that cannot be
// decided on is refused, for a reason that names the field and the remedy. What the
// connection points at is replaced and never changed.
func Apply(e *entry.Entry) {
	if e.Kind == entry.Connection && e.State == entry.Delivered {
		decide(e, nil)
	}
}

// Complete ends what Apply began for an entry with a Reference, once the secret that it
// points at has been fetched.
func Complete(e *entry.Entry, fetched secret.Text) { decide(e, &fetched) }

// decide is the one path of all clouds: choose, and for a reference accept what was
// fetched, which is nil if nothing was yet.
func decide(e *entry.Entry, fetched *secret.Text) {
	rewritten, chosen, err := rewrite(e.Connection, fetched)
	switch {
	case err != nil:
		e.Refuse(entry.Invalid, err.Error())
	case chosen.reference != nil && fetched == nil:
		e.Reference = chosen.reference
	default:
		e.Connection, e.Reference, e.Identity = rewritten.close(), nil, chosen.keyless
		e.Notices = append(e.Notices, rewritten.notices...)
		if chosen.grade.State != "" {
			e.Grade = &chosen.grade
		}
	}
}

func rewrite(conn airflow.Connection, fetched *secret.Text) (*draft, choice, error) {
	c, d, err := begin(conn)
	if err != nil || c == nil {
		return d, choice{}, err
	}
	chosen, err := c.choose(d)
	if err != nil || chosen.reference == nil || fetched == nil {
		return d, chosen, err
	}
	d.drop(referenceFields...)
	if err := c.accept(d, fetched.Reveal()); err != nil {
		return nil, choice{}, refuse(chosen.reference.Field, "the fetched secret "+err.Error())
	}
	return d, chosen, nil
}

// cloud is what differs from one cloud to the next. A new cloud is one type with these
// methods and a place in clouds.
type cloud interface {
	// serves says whether the type is this cloud's, and what the legacy names of its extra
	// fields begin with, if it has such.
	serves(connType string) (prefix string, served bool)
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
	// keyless is the cloud at which the pod's own identity takes the place of a credential.
	keyless string
}

func clouds() []cloud { return []cloud{gcp{}, aws{}, azure{}} }

// begin opens a connection for the cloud that serves its type; there is no cloud where none
// does. Airflow keeps capitals in a type that comes as JSON, and hooks go on with no more
// than a warning.
func begin(conn airflow.Connection) (cloud, *draft, error) {
	kind := strings.ToLower(conn.Type)
	for _, one := range clouds() {
		prefix, served := one.serves(kind)
		if !served {
			continue
		}
		d, err := open(conn, prefix)
		if err == nil && conn.Type != kind {
			d.conn.Type = kind
			d.notice(ReadAsMeant, "conn_type was delivered in small letters, as hooks are found by them; write it so")
		}
		return one, d, err
	}
	return nil, &draft{conn: conn}, refuseUnserved(conn)
}

// refuseUnserved refuses a reference in a connection whose type no cloud here serves. No
// hook knows its fields: the task would run under an identity that nobody meant. A lone
// key_secret_name passes, for it may be a hook's own.
func refuseUnserved(conn airflow.Connection) error {
	if conn.Extra == nil || !strings.Contains(conn.Extra.Reveal(), secretName) {
		return nil
	}
	extra, _ := parseFields(conn.Extra.Reveal()) // one that is no object has no reference
	if !isTrue(extra.get(secretName)) {
		return nil
	}
	for _, companion := range referenceFields {
		if companion != secretName && isTrue(extra.get(companion)) {
			return refuse("extra."+secretName, "is a reference beside "+companion+", and references are for the types "+strings.Join(gcpTypes, ", ")+
				", aws, azure, wasb, adls and azure_data_lake; use one of those, or remove it")
		}
	}
	return nil
}

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

// Probe grades a connection as it is stored, before any reference is resolved.
func Probe(conn airflow.Connection) entry.Grade {
	_, chosen, err := rewrite(conn, nil)
	switch {
	case err != nil:
		return broken(err.Error())
	case chosen.grade.State == "":
		return valid("no cloud credential")
	default:
		return chosen.grade
	}
}
