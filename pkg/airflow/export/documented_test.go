package export

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documentedFile is a file of connections in Airflow's documentation, on the page
// howto/usage-cli or, as it says, local-filesystem-secrets-backend. Connections by
// themselves are in the table of package airflow.
type documentedFile struct {
	name, content string
	want          wanted
}

func documentedFiles() map[string]documentedFile {
	const mysql = `{"conn_type":"mysql","host":"mysql","login":"root","password":"plainpassword","schema":"airflow"}`
	const druid = `{"conn_type":"druid","host":"druid-broker","port":8082,"extra":{"endpoint":"druid/v2/sql"}}`
	const druidURI = `{"conn_type":"druid","host":"druid-broker","schema":"","port":8082,"extra":{"endpoint":"druid/v2/sql"}}`
	const hostA = `{"conn_type":"mysql","host":"host_a","schema":""}`
	return map[string]documentedFile{
		"an export as JSON": {"connections.json", `{
  "airflow_db": {"conn_type": "mysql", "host": "mysql", "login": "root", "password": "plainpassword", "schema": "airflow", "port": null, "extra": null},
  "druid_broker_default": {"conn_type": "druid", "host": "druid-broker", "login": null, "password": null, "schema": null, "port": 8082, "extra": "{\"endpoint\": \"druid/v2/sql\"}"}
}`, wanted{"airflow_db": mysql, "druid_broker_default": druid}},
		"an export as YAML": {"connections.yaml", `airflow_db:
  conn_type: mysql
  extra: null
  host: mysql
  login: root
  password: plainpassword
  port: null
  schema: airflow
druid_broker_default:
  conn_type: druid
  extra: '{"endpoint": "druid/v2/sql"}'
  host: druid-broker
  login: null
  password: null
  port: 8082
  schema: null
`, wanted{"airflow_db": mysql, "druid_broker_default": druid}},
		"an export as URIs": {"connections.env", `airflow_db=mysql://root:plainpassword@mysql/airflow
druid_broker_default=druid://druid-broker:8082?endpoint=druid%2Fv2%2Fsql
`, wanted{"airflow_db": mysql, "druid_broker_default": druidURI}},
		"an export as lines of JSON": {"connections.env", `airflow_db={"conn_type": "mysql", "login": "root", "password": "plainpassword", "host": "mysql", "schema": "airflow"}
druid_broker_default={"conn_type": "druid", "host": "druid-broker", "port": 8082, "extra": "{\"endpoint\": \"druid/v2/sql\"}"}
`, wanted{"airflow_db": mysql, "druid_broker_default": druid}},
		"a backend's JSON": {"conn.json", `{
    "CONN_A": "mysql://host_a",
    "CONN_B": {"conn_type": "scheme", "host": "host", "schema": "schema", "login": "Login", "password": "None", "port": "1234"}
}`, wanted{"CONN_A": hostA, "CONN_B": `{"conn_type":"scheme","host":"host","login":"Login","password":"None","schema":"schema","port":1234}`}},
		"a backend's YAML": {"conn.yaml", `CONN_A: 'mysql://host_a'

CONN_C:
  conn_type: scheme
  host: host
  schema: lschema
  login: Login
  password: None
  port: 1234
  extra_dejson:
    a: b
    nestedblock_dict:
      x: y
`, wanted{"CONN_A": hostA, "CONN_C": `{"conn_type":"scheme","host":"host","login":"Login","password":"None","schema":"lschema","port":1234,"extra":{"a":"b","nestedblock_dict":{"x":"y"}}}`}},
		"a backend's lines": {"conn.env", `mysql_conn_id=mysql://log:password@13.1.21.1:3306/mysqldbrd
google_custom_key=google-cloud-platform://?key_path=%2Fkeys%2Fkey.json
json_conn_id={"conn_type": "mysql", "login": "log", "password": "password", "host": "13.1.21.1", "port": 3306, "schema": "mysqldbrd"}
`, wanted{
			"mysql_conn_id":     `{"conn_type":"mysql","host":"13.1.21.1","login":"log","password":"password","schema":"mysqldbrd","port":3306}`,
			"google_custom_key": `{"conn_type":"google_cloud_platform","host":"","schema":"","extra":{"key_path":"/keys/key.json"}}`,
			"json_conn_id":      `{"conn_type":"mysql","host":"13.1.21.1","login":"log","password":"password","schema":"mysqldbrd","port":3306}`,
		}},
	}
}

func TestDocumentedFiles(t *testing.T) {
	for name, file := range documentedFiles() {
		t.Run(name, func(t *testing.T) { assertConnections(t, file.want, file.name, file.content) })
	}
}

// TestDocumentedEntriesThatAirflowRefuses: the pages show them, the code never took
// them.
func TestDocumentedEntriesThatAirflowRefuses(t *testing.T) {
	for name, row := range map[string]struct{ content, want string }{
		"two of one id": {
			"CONN_B:\n  - 'mysql://host_a'\n  - 'mysql://host_b'\n",
			`conn.yaml:2: connection "CONN_B": must be a URI, or an object`,
		},
		"columns of the database": {
			"CONN_A:\n  conn_type: mysql\n  extra:\n  host: mysql\n  is_encrypted: false\n  is_extra_encrypted: false\n",
			`conn.yaml:5: connection "CONN_A": field "is_encrypted": is not a field of a connection`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults, err := ReadConnections("conn.yaml", []byte(row.content), nil)
			require.NoError(t, err)
			require.Len(t, faults, 1)
			assert.ErrorContains(t, faults[0], row.want)
		})
	}
}
