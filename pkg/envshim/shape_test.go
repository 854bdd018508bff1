package envshim

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// deliverConnections makes a volume show connections, by their line of airflow/connections.json;
// one whose line is empty has an extra that is text.
func deliverConnections(t *testing.T, lines map[string]string) string {
	t.Helper()
	volume := newVolume(t)
	var content mount.Content
	for id, line := range lines {
		entry := mount.Entry{
			Entry: layout.Entry{Kind: layout.Connection, ID: id, State: layout.Delivered, Env: "AIRFLOW_CONN_" + id, File: "connections/" + id},
			Value: []byte("value of " + id), JSON: []byte(line),
		}
		if line == "" {
			entry.JSON = nil
		}
		content.Entries = append(content.Entries, entry)
	}
	content.Entries = append(content.Entries, mount.Entry{Entry: layout.Entry{Kind: layout.Connection, ID: "gone", State: layout.Denied}})
	content.Mode, content.Manifest = 0o440, layout.Manifest{}
	_, err := mount.Write(volume, content)
	require.NoError(t, err)
	return volume
}

const warehouse = `{"conn_type":"postgres","description":"x","host":"db.example.com","login":"etl","password":"p@ ss'\n\"\\","schema":"dwh","port":5432,` +
	`"extra":{"sslmode":"require","connect_timeout":10,"keepalives_idle":30,"application-name":"a","Options":"-c x=1","nested":{"a":[1]},"none":null,"yes":true}}`

// shapedOf are the variables that a list of shapes makes of the volume.
func shapedOf(t *testing.T, volume, list string) (map[string]string, error) {
	t.Helper()
	shapes, err := ParseShapes(list)
	require.NoError(t, err)
	snapshot, err := Read(volume, shapes...)
	if err == nil {
		err = snapshot.Missing(shapes)
	}
	words := map[string]string{}
	for _, entry := range snapshot.Entries {
		if entry.isShaped {
			words[entry.Env] = entry.Value.Reveal()
		}
	}
	return words, err
}

func TestConnectionsInOtherWords(t *testing.T) {
	volume := deliverConnections(t, map[string]string{"warehouse": warehouse, "my-mart.2": `{"conn_type":"http","host":"h","schema":""}`})
	for list, want := range map[string]map[string]string{
		"libpq=warehouse": {
			"PGHOST": "db.example.com", "PGPORT": "5432", "PGUSER": "etl", "PGPASSWORD": "p@ ss'\n\"\\", "PGDATABASE": "dwh",
			"PGSSLMODE": "require", "PGCONNECT_TIMEOUT": "10",
		},
		"fields=warehouse": {
			"WAREHOUSE_CONN_TYPE": "postgres", "WAREHOUSE_HOST": "db.example.com", "WAREHOUSE_PORT": "5432", "WAREHOUSE_LOGIN": "etl",
			"WAREHOUSE_PASSWORD": "p@ ss'\n\"\\", "WAREHOUSE_SCHEMA": "dwh", "WAREHOUSE_EXTRA_SSLMODE": "require",
			"WAREHOUSE_EXTRA_CONNECT_TIMEOUT": "10", "WAREHOUSE_EXTRA_KEEPALIVES_IDLE": "30", "WAREHOUSE_EXTRA_APPLICATION_NAME": "a",
			"WAREHOUSE_EXTRA_OPTIONS": "-c x=1", "WAREHOUSE_EXTRA_NESTED": `{"a":[1]}`, "WAREHOUSE_EXTRA_YES": "true",
		},
		" fields=my-mart.2 , libpq=absent?, fields=gone?": {"MY_MART_2_CONN_TYPE": "http", "MY_MART_2_HOST": "h"},
		"": {},
	} {
		words, err := shapedOf(t, volume, list)
		assert.NoError(t, err)
		assert.Equal(t, want, words, list)
	}
}

func TestWhatHasNoOtherWordsIsNamed(t *testing.T) {
	iam := `{"conn_type":"postgres","password":"needle","extra":{"iam":true}}`
	twice := `{"conn_type":"x","password":"needle","extra":{"a-b":"needle","a_b":"needle"}}`
	volume := deliverConnections(t, map[string]string{"text": "", "http": `{"conn_type":"http","password":"needle"}`, "iam": iam, "twice": twice, "list": `["needle"]`})
	for list, message := range map[string]string{
		"libpq=absent":           `--as: connection "absent" is not asked for`,
		"libpq=gone":             `--as: connection "gone" is denied`,
		"fields=text":            `--as: connection "text" has an extra that is no JSON object, and no fields to name`,
		"libpq=http":             `--as: connection "http" is of type "http"; libpq takes postgres or redshift`,
		"libpq=iam":              `--as: connection "iam" has "iam" in its extra: `,
		"fields=twice":           `--as: connection "twice" has two fields in its extra that both become TWICE_EXTRA_A_B: rename one`,
		"fields=list":            `--as: connection "list" is not as Airflow writes one in airflow/connections.json`,
		"libpq=gone,libpq=other": "--as: connection \"gone\" is denied\n--as: connection \"other\" is not asked for",
	} {
		_, err := shapedOf(t, volume, list)
		require.ErrorContains(t, err, message)
		assert.NotContains(t, err.Error(), "needle")
	}
	for _, list := range []string{"libpq", "libpq=", "libpq=?", "jdbc=a", "=a"} {
		_, err := ParseShapes("fields=ok," + list)
		assert.EqualError(t, err, fmt.Sprintf("%q is neither libpq=CONN_ID nor fields=CONN_ID", list))
	}
}

func TestOtherWordsAreVariablesLikeAnyOther(t *testing.T) {
	volume := deliverConnections(t, map[string]string{"warehouse": warehouse, "other": `{"conn_type":"postgres","host":"o"}`})
	shapes, err := ParseShapes("libpq=warehouse")
	require.NoError(t, err)
	snapshot, err := Read(volume, shapes...)
	require.NoError(t, err)
	carried, _ := snapshot.Environment(VolumeBackend)
	environ, err := Merge([]string{"PGHOST=old", "PGTZ=kept"}, carried, false)
	require.NoError(t, err)
	assert.Subset(t, environ, []string{"PGTZ=kept", "PGHOST=db.example.com"})
	assert.NotContains(t, environ, "PGHOST=old")
	assert.NotContains(t, environ, "AIRFLOW_CONN_warehouse=value of warehouse", "what the backend serves stays out")

	shapes, err = ParseShapes("libpq=warehouse,libpq=other")
	require.NoError(t, err)
	snapshot, err = Read(volume, shapes...)
	require.NoError(t, err)
	_, err = Merge(nil, snapshot.Entries, false)
	assert.ErrorContains(t, err, `connection "warehouse" and connection "other" would both be PGHOST, by --as: give one of them alone`)
}
