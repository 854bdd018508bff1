// Package policy decides which credential of a connection is used, before anything is
// rendered: a stored key, which comes with a notice, then a reference, whose secret is
// fetched under the pod's own identity, then none, so that the task goes keyless. By the
// time an Airflow hook sees the connection it holds only fields the hook knows.
//
// It is pure: it asks nobody, and the same connection is decided the same way.
package policy

import (
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
		e.Connection, e.Reference = rewritten.close(), nil
		e.Notices = append(e.Notices, rewritten.notices...)
		if chosen.grade.State != "" {
			e.Grade = &chosen.grade
		}
	}
}

func rewrite(conn airflow.Connection, fetched *secret.Text) (*draft, choice, error) {
	c := cloudOf(conn.Type)
	if c == nil {
		return &draft{conn: conn}, choice{}, refuseUnserved(conn)
	}
	d, err := begin(c, conn)
	if err != nil {
		return nil, choice{}, err
	}
	chosen, err := c.choose(d)
	if err == nil && chosen.reference != nil && fetched != nil {
		err = put(c, d, *chosen.reference, *fetched)
	}
	return d, chosen, err
}

// put has the cloud put a fetched secret in the place of the reference.
func put(c cloud, d *draft, ref entry.Reference, fetched secret.Text) error {
	d.drop(referenceFields...)
	if err := c.accept(d, fetched.Reveal()); err != nil {
		return refuse(ref.Field, "the fetched secret "+err.Error())
	}
	return nil
}

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
