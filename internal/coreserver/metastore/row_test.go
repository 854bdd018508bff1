package metastore

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

func itoa(port uint16) string { return strconv.Itoa(int(port)) }

// of are the cells of a good connection but for what pairs say; "NULL" is nil.
func of(pairs ...string) cells {
	c := cells{}
	all := append([]string{"conn_id", "db", "conn_type", "postgres", "host", "H.example", "login", "u", "password", "p", "port", "5432", "is_encrypted", "false", "is_extra_encrypted", "false"}, pairs...)
	for i := 0; i < len(all); i += 2 {
		if c[all[i]] = &all[i+1]; all[i+1] == "NULL" {
			c[all[i]] = nil
		}
	}
	return c
}

func TestABrokenRowIsInvalid(t *testing.T) {
	good, kept := connectionRow(of(), nil)
	require.True(t, kept)
	require.Empty(t, good.Invalid)
	for want, pairs := range map[string][]string{
		"has no conn_id": {"conn_id", "NULL"},
		`field "conn_type": is missing; every connection needs a type`:      {"conn_type", "NULL"},
		`field "port": must be a whole number from 0 to 65535`:              {"port", "70000"},
		`field "password": is said to be encrypted, and is no Fernet token`: {"is_encrypted", "true"},
		`field "extra": is said to be encrypted, and is no Fernet token`:    {"is_extra_encrypted", "true", "extra", "{}"},
		`field "extra": begins as JSON and is none; correct it`:             {"extra", "{"},
		`field "host": is not UTF-8; Airflow holds text only`:               {"host", "\xff"},
		`field "extra": is larger than 1024 KiB`:                            {"extra", strings.Repeat("x", maxValue+1)},
	} {
		keys, err := parseKeys(secret.New(keyOne))
		require.NoError(t, err)
		row, kept := connectionRow(of(pairs...), keys)
		assert.True(t, kept)
		assert.Equal(t, want, row.Invalid)
		assert.Nil(t, row.Connection.Password, "an invalid row holds no value")
	}
}

func TestNullAndEmptyAreTwoThings(t *testing.T) {
	row, _ := connectionRow(of("login", "NULL", "host", "", "password", "", "is_encrypted", "true", "extra", "", "is_extra_encrypted", "true", "port", "NULL"), nil)
	require.Empty(t, row.Invalid)
	assert.Nil(t, row.Connection.Login)
	assert.Nil(t, row.Connection.Port)
	assert.Equal(t, "", *row.Connection.Host)
	assert.Equal(t, "", row.Connection.Password.Reveal())
	assert.Equal(t, "", row.Connection.Extra.Reveal())
}

func TestAVariableWithoutAValueIsNotThere(t *testing.T) {
	variable := func(pairs ...string) cells { return of(append([]string{"key", "k", "val", "v"}, pairs...)...) }
	_, kept := variableRow(variable("val", "NULL"), nil)
	assert.False(t, kept)
	row, kept := variableRow(variable("val", ""), nil)
	assert.True(t, kept)
	assert.Empty(t, row.Invalid)
	row, _ = variableRow(variable("val", "", "is_encrypted", "true"), nil)
	assert.Equal(t, `field "val": is said to be encrypted, and is empty`, row.Invalid)
	row, _ = variableRow(variable("key", ""), nil)
	assert.Equal(t, "has no key", row.Invalid)
	row, _ = variableRow(variable("team_name", "payments"), nil)
	assert.Equal(t, "payments", row.Team)
	row, _ = variableRow(variable("team_id", "0195"), nil)
	assert.Equal(t, "0195", row.Team)
}
