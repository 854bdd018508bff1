package airflow

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEnvNames(t *testing.T) {
	for id, want := range map[string]string{
		"my_conn":                "MY_CONN",
		"my-conn":                "MY-CONN",
		"my.conn":                "MY.CONN",
		"My-Conn.2":              "MY-CONN.2",
		"a/b":                    "A/B",
		"..":                     "..",
		`#!()-.:/\`:              `#!()-.:/\`,
		"straße":                 "STRASSE",
		"ﬁle":                    "FILE",
		"ıi":                     "II",
		"größe":                  "GRÖSSE",
		"データ":                    "データ",
		"x²":                     "X²",
		strings.Repeat("a", 250): strings.Repeat("A", 250),
		strings.Repeat("é", 250): strings.Repeat("É", 250),
	} {
		t.Run(id, func(t *testing.T) {
			name, err := ConnectionEnvName(id)
			require.NoError(t, err)
			assert.Equal(t, "AIRFLOW_CONN_"+want, name)
			name, err = VariableEnvName(id)
			require.NoError(t, err)
			assert.Equal(t, "AIRFLOW_VAR_"+want, name)
		})
	}
	name, err := VariableEnvName("any text, é&")
	require.NoError(t, err)
	assert.Equal(t, "AIRFLOW_VAR_ANY TEXT, É&", name)
}

func TestEnvNamesRefuse(t *testing.T) {
	for id, want := range map[string]struct{ connection, variable string }{
		"":                       {"checking conn_id: it is empty", "checking variable key: it is empty"},
		"a\x00b":                 {`checking conn_id "a\x00b": character '\x00' at byte 2 is not allowed`, `checking variable key "a\x00b": character '\x00' at byte 2 cannot stand in the name of an environment variable`},
		"a\n":                    {`character '\n' at byte 2 is not allowed; Airflow allows letters, digits and _ # ! ( ) - . : / \`, `character '\n' at byte 2 cannot`},
		"a=b":                    {`character '=' at byte 2 is not allowed`, `character '=' at byte 2 cannot`},
		"a\u0085":                {`character '\u0085' at byte 2 is not allowed`, `character '\u0085' at byte 2 cannot`},
		"\xff":                   {`checking conn_id: "\xff" is not UTF-8`, `checking variable key: "\xff" is not UTF-8`},
		strings.Repeat("é", 251): {`é"… has 251 characters; Airflow holds 250`, `é"… has 251 characters; Airflow holds 250`},
	} {
		t.Run(id, func(t *testing.T) {
			_, err := ConnectionEnvName(id)
			require.ErrorContains(t, err, want.connection)
			_, err = VariableEnvName(id)
			require.ErrorContains(t, err, want.variable)
		})
	}
	for _, id := range []string{"my conn", "a,b", "a?", "*", "a%2Fb", "a@b", "e\u0301", "😀", "a$"} {
		_, err := ConnectionEnvName(id)
		assert.ErrorContains(t, err, "is not allowed", id)
	}
}
