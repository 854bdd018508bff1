package policy

import (
	"strings"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

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
