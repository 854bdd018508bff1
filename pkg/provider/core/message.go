package core

import (
	"math"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// kindOf is empty for one that this client does not know.
func kindOf(given secretsv1.Kind) provider.Kind {
	switch given {
	case secretsv1.Kind_KIND_CONNECTION:
		return provider.Connection
	case secretsv1.Kind_KIND_VARIABLE:
		return provider.Variable
	default:
		return ""
	}
}

// reasonOf is empty for one that this client does not know.
func reasonOf(given secretsv1.Refusal_Reason) provider.Reason {
	switch given {
	case secretsv1.Refusal_REASON_MISSING:
		return provider.Missing
	case secretsv1.Refusal_REASON_DENIED:
		return provider.Denied
	case secretsv1.Refusal_REASON_INVALID:
		return provider.Invalid
	default:
		return ""
	}
}

// connection copies every field: pods that share a response share no memory.
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
