package airflow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/needle"
)

// rules are core's. Tasks have an account for each kind of them, and so does the triggerer.
var rules = []map[string]any{
	{
		"namespaces": []string{"leoflow-airflow-*"}, "serviceAccounts": []string{"airflow-worker"},
		"connections": []string{"warehouse", "reporting"}, "variables": []string{"region", "batch.size"},
	},
	{
		"namespaces": []string{"leoflow-airflow-*"}, "serviceAccounts": []string{"airflow-triggerer"},
		"connections": []string{"warehouse", "reporting"}, "variables": []string{"region", "batch.size"},
	},
	{"namespaces": []string{"leoflow-airflow-*"}, "serviceAccounts": []string{"billing"}, "connections": []string{"billing"}},
	// The chart is not installed with values by which its own 'helm test' would be refused.
	{"namespaces": []string{chart.Namespace}, "serviceAccounts": []string{"default"}, "connections": []string{"warehouse"}, "variables": []string{"region"}},
}

// entries are what core has, and the needles of their secrets.
type entries struct {
	chart.Entries
	needles map[string]string // where each was planted
}

func plant() *entries {
	e := &entries{needles: map[string]string{}}
	e.Entries = chart.Entries{
		Connections: map[string]any{
			"warehouse": map[string]any{
				"conn_type": "postgres", "host": "DB.example.com", "schema": "dwh", "port": 5432, "login": "etl@corp",
				"password": `p@s:/ ?#%41+é'"` + e.needle("password of warehouse"),
				"extra":    map[string]any{"sslmode": "require", "key": e.needle("extra of warehouse"), "retries": 5},
			},
			"reporting": e.reporting("first"),
			"billing": map[string]any{
				"conn_type": "http", "host": "billing.example.com", "schema": "https", "port": 443, "login": "biller",
				"password": e.needle("password of billing"), "extra": map[string]any{},
			},
		},
		Variables: map[string]string{
			"region":     "eu-" + e.needle("variable region"),
			"batch.size": "500-" + e.needle("variable batch.size"),
		},
	}
	return e
}

func (e *entries) reporting(which string) map[string]any {
	return map[string]any{
		"conn_type": "mysql", "host": "reports.example.com", "schema": "reports", "port": 3306, "login": "reader",
		"password": e.needle(which + " password of reporting"), "extra": map[string]any{"role": "reader"},
	}
}

func (e *entries) needle(where string) string {
	text := needle.Text()
	e.needles[text] = where
	return text
}

// with is what core has once a connection is another one, or none.
func (e *entries) with(id string, connection map[string]any) chart.Entries {
	next := maps.Clone(e.Connections)
	if next[id] = connection; connection == nil {
		delete(next, id)
	}
	e.Connections = next
	return e.Entries
}

// connection is the fingerprint that testdata/dags/seen.py makes of one.
func (e *entries) connection(t *testing.T, id string) string {
	t.Helper()
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	require.NoError(t, encoder.Encode(e.Connections[id]))
	return fingerprint(string(bytes.TrimSpace(content.Bytes())))
}

func (e *entries) password(id string) string {
	return fingerprint(e.Connections[id].(map[string]any)["password"].(string))
}

func fingerprint(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}
