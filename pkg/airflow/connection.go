// Package airflow reads and writes connections the way Airflow does: its URI and
// JSON forms, its environment variable names, its id rules. It does no I/O.
package airflow

import (
	"fmt"
	"io"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Connection is an Airflow connection. A nil field is absent, which is not the same
// as empty: "user:@host" has an empty password, "user@host" has none.
type Connection struct {
	// ID is the conn_id, as the user wrote it.
	ID string
	// Type is the conn_type in Airflow's normalised spelling, see NormalizeType.
	Type        string
	Description *string
	Host        *string
	Login       *string
	Password    *secret.Text
	Schema      *string
	Port        *uint16
	// Extra is the extra field as text; a JSON object where hooks are to read it, see
	// HasPlainExtra.
	Extra *secret.Text
}

// Format prints the id and the type and nothing else, whatever the verb.
func (c Connection) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "connection "+c.ID+" ("+c.Type+")")
}
