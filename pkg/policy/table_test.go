package policy

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// section is the rows of one connection type.
type section struct {
	connType string
	rows     []row
}

func sections() []section {
	all := []section{{"google_cloud_platform", gcpRows}, {"gcpbigquery", bigqueryRows}, {"aws", awsRows}}
	for _, connType := range slices.Sorted(maps.Keys(azureRows)) {
		all = append(all, section{connType, azureRows[connType]})
	}
	return all
}

func TestWhatTheHookIsGiven(t *testing.T) {
	for _, section := range sections() {
		for _, row := range section.rows {
			t.Run(section.connType+"/"+row.name, func(t *testing.T) {
				stored := parse(t, section.connType, row.stored)
				var asked []Reference
				resolve := func(_ context.Context, ref Reference) (secret.Text, error) {
					asked = append(asked, ref)
					return secret.New(row.secret), nil
				}

				outcome, err := Clouds().Process(t.Context(), stored, resolve)

				require.NoError(t, err)
				assert.Equal(t, string(parse(t, section.connType, row.given).JSON()), string(outcome.Connection.JSON()))
				assert.Equal(t, row.uses, uses(outcome.Connection))
				assert.Equal(t, row.grade, outcome.Grade.State, outcome.Grade.Reason)
				assert.Equal(t, row.notices, codes(outcome.Notices))
				assert.Equal(t, outcome.Grade, Probe(stored))
				if row.reference == (Reference{}) {
					assert.Empty(t, asked)
				} else {
					assert.Equal(t, []Reference{row.reference}, asked)
				}
				again, err := Clouds().Process(t.Context(), outcome.Connection, nil)
				require.NoError(t, err, "what the hook is given is itself a connection")
				assert.Equal(t, string(outcome.Connection.JSON()), string(again.Connection.JSON()), "a second pass changes nothing")
			})
		}
	}
}

func codes(notices []Notice) []string {
	var codes []string
	for _, notice := range notices {
		codes = append(codes, notice.Code)
	}
	return codes
}

// parse reads a row's connection; the type comes from its section.
func parse(t testing.TB, connType, fields string) airflow.Connection {
	t.Helper()
	object := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal([]byte(fields), &object), fields)
	object["conn_type"] = json.RawMessage(`"` + connType + `"`)
	text, err := json.Marshal(object)
	require.NoError(t, err)
	conn, err := airflow.ParseJSON("c", text)
	require.NoError(t, err, fields)
	return conn
}
