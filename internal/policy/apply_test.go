package policy

import (
	"errors"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// decided is what the policy made of a connection, and what it asked for on the way.
type decided struct {
	entry.Entry
	asked []entry.Reference
}

// process runs the policy over a connection. A reference leads to what is fetched.
func process(conn airflow.Connection, fetched string) (decided, error) {
	made := decided{Entry: entry.OfConnection(conn, "1")}
	Apply(&made.Entry)
	if made.Reference != nil {
		made.asked = append(made.asked, *made.Reference)
		Complete(&made.Entry, secret.New(fetched))
	}
	if made.State != entry.Delivered {
		return made, errors.New(made.Reason())
	}
	return made, nil
}

// gradeOf is the grade of an entry; the zero grade where there is none.
func (d decided) gradeOf() entry.Grade {
	if d.Grade == nil {
		return entry.Grade{}
	}
	return *d.Grade
}
