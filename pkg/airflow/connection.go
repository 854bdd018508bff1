// Package airflow reads and writes connections the way Airflow does: its URI and
// JSON forms, its environment variable names, its id rules. It does no I/O.
package airflow

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

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

// ErrNotURI is returned by Connection.URI when the connection is sound and yet no URI
// reads back as it. JSON carries it.
var ErrNotURI = errors.New("no URI can carry this connection")

// FieldError says which field of a connection is wrong and why. It holds no value,
// and no conn_id: whoever knows where the connection came from says so.
type FieldError struct {
	// Field is Airflow's name of the field, as in JSON: "conn_type", "extra".
	Field string
	// Position is the byte of the URI or JSON text, from 1, where the field stands;
	// 0 where it is not known.
	Position int
	// Reason says what is wrong and what to do.
	Reason string
}

func (e *FieldError) Error() string {
	if e.Position > 0 {
		return fmt.Sprintf("field %q at byte %d: %s", e.Field, e.Position, e.Reason)
	}
	return fmt.Sprintf("field %q: %s", e.Field, e.Reason)
}

// NormalizeType spells a conn_type as Airflow does after it has read one: dashes
// become underscores, and "postgresql" is "postgres". Case is left alone, as Airflow
// leaves it; only URI schemes are lower-cased, in ParseURI.
func NormalizeType(connType string) string {
	if connType == "postgresql" {
		return "postgres"
	}
	return strings.ReplaceAll(connType, "-", "_")
}

// Validate says whether Airflow can hold the connection at all: it has a type, and its
// text is UTF-8, escapes in its extra included. The error is a *FieldError.
func (c Connection) Validate() error {
	if err := c.checkType(); err != nil {
		return err
	}
	for _, field := range [...]struct{ name, text string }{
		{"conn_type", c.Type}, {"description", orEmpty(c.Description)}, {"host", orEmpty(c.Host)}, {"login", orEmpty(c.Login)},
		{"schema", orEmpty(c.Schema)}, {"password", revealed(c.Password)}, {"extra", revealed(c.Extra)},
	} {
		if !utf8.ValidString(field.text) {
			return &FieldError{Field: field.name, Reason: "is not UTF-8; Airflow holds text only"}
		}
	}
	if _, _, fault := readExtra(revealed(c.Extra)); fault != "" {
		return &FieldError{Field: "extra", Reason: fault}
	}
	return nil
}

func (c Connection) checkType() error {
	if c.Type == "" {
		return &FieldError{Field: "conn_type", Reason: "is missing; every connection needs a type"}
	}
	return nil
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func revealed(text *secret.Text) string {
	if text == nil {
		return ""
	}
	return text.Reveal()
}
