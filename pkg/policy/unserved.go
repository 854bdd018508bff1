package policy

import (
	"context"
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// Unserved refuses a reference in a connection whose type no cloud here serves. No hook
// knows its fields: the task would run under an identity that nobody meant. A lone
// key_secret_name passes, for it may be a hook's own.
type Unserved struct{}

// Process implements Processor.
func (Unserved) Process(_ context.Context, conn airflow.Connection, _ Resolve) (Outcome, error) {
	if err := refuseUnserved(conn); err != nil {
		return Outcome{}, err
	}
	return Outcome{Connection: conn}, nil
}

func refuseUnserved(conn airflow.Connection) error {
	if cloudOf(conn.Type) != nil || conn.Extra == nil || !strings.Contains(conn.Extra.Reveal(), secretName) {
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
