package policy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestOtherTypesPassUntouched(t *testing.T) {
	extra := `{ "key_secret_name" : "mine", "keyfile_dict": 1.0 }`
	conn := airflow.Connection{ID: "c", Type: "http", Extra: new(secret.New(extra))}

	outcome, err := process(conn, "")

	require.NoError(t, err)
	assert.Nil(t, outcome.Grade)
	assert.Same(t, conn.Extra, outcome.Connection.Extra)
	assert.Empty(t, outcome.Notices)
	assert.Equal(t, Valid, Probe(conn).State)
}

func TestUntouchedExtraKeepsItsBytes(t *testing.T) {
	extra := `{ "region_name" : "r" , "n": 1e400 }`
	conn := airflow.Connection{ID: "c", Type: "aws", Extra: new(secret.New(extra))}

	outcome, err := process(conn, "")

	require.NoError(t, err)
	assert.Equal(t, extra, outcome.Connection.Extra.Reveal())
}

func TestProcessLeavesTheInputAlone(t *testing.T) {
	login, extra := "J", `{"key_secret_name":"s","session_kwargs":{"aws_session_token":"old"}}`
	conn := airflow.Connection{ID: "c", Type: "aws", Login: &login, Extra: new(secret.New(extra))}

	outcome, err := process(conn, `{"AccessKeyId":"I","SecretAccessKey":"S"}`)

	require.NoError(t, err)
	assert.Equal(t, "I", *outcome.Connection.Login)
	assert.Equal(t, "J", login)
	assert.Equal(t, extra, conn.Extra.Reveal())
}

// TestAVastExtra takes minutes, and so fails, if each field is compared with each other.
func TestAVastExtra(t *testing.T) {
	var extra strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&extra, `,"%x":1`, i)
	}
	conn := airflow.Connection{ID: "c", Type: "aws", Extra: new(secret.New(`{"role_arn":"r","role_arn":"r"` + extra.String() + `}`))}

	outcome, err := process(conn, "")

	require.NoError(t, err)
	assert.Equal(t, Runtime, outcome.gradeOf().State)
}

func TestATypeInCapitalsIsServed(t *testing.T) {
	for written, kind := range map[string]string{"AWS": "aws", "Google_Cloud_Platform": "google_cloud_platform", "WASB": "wasb"} {
		conn := airflow.Connection{ID: "c", Type: written}

		outcome, err := process(conn, "")

		require.NoError(t, err)
		assert.Equal(t, kind, outcome.Connection.Type)
		assert.Equal(t, Runtime, outcome.gradeOf().State)
		assert.Equal(t, outcome.gradeOf(), Probe(conn))
		assert.Equal(t, []string{ReadAsMeant}, codes(outcome.Notices))
	}
}

// TestExclusivenessHolds sets every credential of Google's hook in every spelling and
// checks that one survives, which is what upstream's own check asks for.
func TestExclusivenessHolds(t *testing.T) {
	values := map[string]string{
		"keyfile_dict": key, "key_path": `"/k.json"`, "key_secret_name": `"projects/p/secrets/s"`,
		"credential_config_file": `"/c.json"`, "is_anonymous": "true",
	}
	for mask := range 1 << (2 * len(gcpCredentials)) {
		var extra fields
		for i, name := range gcpCredentials {
			if mask&(1<<(2*i)) != 0 {
				extra.set(name, json.RawMessage(values[name]))
			}
			if mask&(2<<(2*i)) != 0 {
				extra.set(gcpPrefix+name, json.RawMessage(values[name]))
			}
		}
		conn := airflow.Connection{ID: "c", Type: "google_cloud_platform", Extra: new(secret.New(extra.encode()))}

		outcome, err := process(conn, key)

		require.NoError(t, err)
		require.Equal(t, min(mask, 1), credentialsIn(t, outcome.Connection), extra.encode())
		require.NotContains(t, uses(outcome.Connection), "raises")
	}
}

// TestAStorageHookKeepsItsCredential sets every credential of the storage account's
// hooks. One is left, and it is the one that the hook would have used.
func TestAStorageHookKeepsItsCredential(t *testing.T) {
	for _, connType := range []string{"wasb", "adls"} {
		names := append([]string{"tenant_id"}, azureTypes[connType].fields()...)
		for mask := range 4 << len(names) {
			conn := airflow.Connection{ID: "c", Type: connType, Host: new("H")}
			var extra fields
			for i, name := range names {
				if mask&(4<<i) != 0 {
					extra.set(name, quote(name))
				}
			}
			conn.Extra = new(secret.New(extra.encode()))
			if mask&1 != 0 {
				conn.Login = new("C")
			}
			if mask&2 != 0 {
				conn.Password = new(secret.New("S"))
			}

			outcome, err := process(conn, "")

			if err != nil {
				require.Contains(t, uses(conn), "client secret", "half a principal, and nothing else")
				continue
			}
			if meant := uses(conn); !strings.HasPrefix(meant, "raises") && conn.Login != nil {
				require.Equal(t, meant, uses(outcome.Connection), extra.encode())
			}
			require.LessOrEqual(t, storedIn(outcome.Connection), 1, extra.encode())
		}
	}
}

func storedIn(conn airflow.Connection) int {
	seen, count := hookedOf(conn), 0
	for _, name := range azureTypes[conn.Type].fields() {
		if seen.has(name) {
			count++
		}
	}
	if hasPassword(conn) {
		count++
	}
	return count
}

func credentialsIn(t *testing.T, conn airflow.Connection) int {
	t.Helper()
	if conn.Extra == nil {
		return 0
	}
	extra, err := parseFields(conn.Extra.Reveal())
	require.NoError(t, err)
	found := map[string]bool{}
	for _, field := range extra {
		if name := strings.TrimPrefix(field.name, gcpPrefix); slices.Contains(gcpCredentials, name) {
			found[name] = true // in both spellings the hook counts it once
		}
	}
	return len(found)
}

func FuzzProcess(f *testing.F) {
	for _, section := range sections() {
		for _, row := range section.rows {
			conn := parse(f, section.connType, row.stored)
			extra := ""
			if conn.Extra != nil {
				extra = conn.Extra.Reveal()
			}
			f.Add(section.connType, extra, row.secret)
		}
	}
	f.Fuzz(func(t *testing.T, connType, extra, fetched string) {
		conn := airflow.Connection{ID: "c", Type: connType, Extra: new(secret.New(extra))}
		outcome, err := process(conn, fetched)
		if err != nil {
			return
		}
		if c, _, _ := begin(conn); c != nil && outcome.Connection.Extra != nil {
			requireVerbatim(t, extra, outcome.Connection.Extra.Reveal())
		}
		again, err := process(outcome.Connection, "")
		require.NoError(t, err)
		require.True(t, reflect.DeepEqual(outcome.Connection, again.Connection), "a second pass changes nothing")
	})
}

// requireVerbatim checks that fields which no cloud knows pass through as they are.
func requireVerbatim(t *testing.T, before, after string) {
	t.Helper()
	stored, err := parseFields(before)
	if err != nil {
		require.Empty(t, strings.TrimSpace(before))
		return
	}
	delivered, err := parseFields(after)
	require.NoError(t, err)
	for _, field := range stored {
		if strings.HasPrefix(field.name, "x") {
			require.Equal(t, string(field.value), string(delivered.get(field.name)))
		}
	}
}
