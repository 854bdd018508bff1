package core

import (
	"math"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// kindOf is empty for one that this client does not know.
func kindOf(given secretsv1.Kind) entry.Kind {
	switch given {
	case secretsv1.Kind_KIND_CONNECTION:
		return entry.Connection
	case secretsv1.Kind_KIND_VARIABLE:
		return entry.Variable
	default:
		return ""
	}
}

// stateOf is empty for one that this client does not know.
func stateOf(given secretsv1.Refusal_Reason) entry.State {
	switch given {
	case secretsv1.Refusal_REASON_MISSING:
		return entry.Missing
	case secretsv1.Refusal_REASON_DENIED:
		return entry.Denied
	case secretsv1.Refusal_REASON_INVALID:
		return entry.Invalid
	default:
		return ""
	}
}

// connection copies every field: nothing of the response is kept.
func connection(given *secretsv1.Connection) (airflow.Connection, error) {
	taken := airflow.Connection{
		ID:          given.GetId(),
		Type:        airflow.NormalizeType(given.GetConnType()),
		Description: copied(given.Description),
		Host:        copied(given.Host),
		Login:       copied(given.Login),
		Password:    hidden(given.Password),
		Schema:      copied(given.Schema),
		Extra:       hidden(given.Extra),
	}
	if given.Port != nil {
		if given.GetPort() > math.MaxUint16 {
			return airflow.Connection{}, &airflow.FieldError{Field: "port", Reason: "is above 65535"}
		}
		taken.Port = new(uint16(given.GetPort()))
	}
	return taken, taken.Validate()
}

func copied(field *string) *string {
	if field == nil {
		return nil
	}
	return new(*field)
}

func hidden(field *string) *secret.Text {
	if field == nil {
		return nil
	}
	return new(secret.New(*field))
}
