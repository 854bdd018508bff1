package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
)

const airflowTables = `
CREATE TABLE connection (id serial PRIMARY KEY, conn_id text, conn_type text, description text, host text, schema text, login text, password text,
  port integer, extra text, is_encrypted boolean, is_extra_encrypted boolean, team_name text);
CREATE TABLE variable (id serial PRIMARY KEY, key text, val text, is_encrypted boolean, team_name text);
CREATE ROLE reader LOGIN PASSWORD 'n33dle';
GRANT SELECT ON connection, variable TO reader;
`

// TestCommandsReadTheMetastore has the commands that read files read Airflow's database.
func TestCommandsReadTheMetastore(t *testing.T) {
	if testpostgres.Tool("initdb") == "" {
		testneed.Missing(t, "PostgreSQL's initdb (Debian has it in postgresql)")
	}
	server, err := testpostgres.Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	// Scripts are subtests that may run in parallel, and end before the server does.
	t.Cleanup(server.Stop)
	_, err = server.Query(t.Context(), "postgres", airflowTables)
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/metastore", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			return os.WriteFile(filepath.Join(env.WorkDir, "db-url"), []byte(server.URL("reader", "n33dle", "postgres")), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"sql": func(script *testscript.TestScript, _ bool, args []string) {
			_, err := server.Query(context.Background(), "postgres", strings.Join(args, " "))
			script.Check(err)
		}},
	})
}
