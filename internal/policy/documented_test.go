package policy

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
)

// TestADocumentedConnectionKeepsItsCredential holds the policy to the examples in
// Airflow's documentation, which package airflow has in a table: what worked without
// it works in the same way with it.
func TestADocumentedConnectionKeepsItsCredential(t *testing.T) {
	table, err := os.ReadFile("../../pkg/airflow/testdata/documented.tsv")
	require.NoError(t, err)
	types := map[string]int{}
	for line := range strings.Lines(string(table)) {
		columns := strings.Split(line, "\t")
		if strings.HasPrefix(line, "#") || columns[2] == "extra" {
			continue
		}
		conn, err := airflow.Parse("c", columns[4])
		if err != nil {
			continue
		}
		outcome, err := process(conn, "")
		require.NoError(t, err, line)
		if c, _, _ := begin(conn); c == nil {
			assert.Equal(t, conn, outcome.Connection)
			continue
		}
		types[conn.Type]++
		assert.Equal(t, uses(conn), uses(outcome.Connection), line)
		assert.NotEqual(t, Broken, outcome.gradeOf().State, line)
	}
	assert.Greater(t, types["aws"], 5)
	assert.Len(t, types, 6, "all but adls, of which there is no example")
}
