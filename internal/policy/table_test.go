package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
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

				outcome, err := process(stored, row.secret)

				require.NoError(t, err)
				assert.Equal(t, string(parse(t, section.connType, row.given).JSON()), string(outcome.Connection.JSON()))
				assert.Equal(t, row.uses, uses(outcome.Connection))
				assert.Equal(t, row.grade, outcome.gradeOf().State, outcome.gradeOf().Reason)
				assert.Equal(t, row.notices, codes(outcome.Notices))
				assert.Equal(t, outcome.gradeOf(), Probe(stored))
				if row.reference == (entry.Reference{}) {
					assert.Empty(t, outcome.asked)
				} else {
					want := row.reference
					want.Field = "extra.key_secret_name"
					if strings.Contains(row.stored, gcpPrefix+"key_secret_name") {
						want.Field = "extra." + gcpPrefix + "key_secret_name"
					}
					assert.Equal(t, []entry.Reference{want}, outcome.asked)
				}
				assert.Nil(t, outcome.Reference, "it is in its place")
				again, err := process(outcome.Connection, "")
				require.NoError(t, err, "what the hook is given is itself a connection")
				assert.Equal(t, string(outcome.Connection.JSON()), string(again.Connection.JSON()), "a second pass changes nothing")
			})
		}
	}
}

func codes(notices []entry.Notice) []string {
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
