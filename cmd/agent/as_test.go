package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// A real psql, which knows nothing of Airflow, finds a real server and proves who it is.
func TestPsqlRunsOnWhatIsSet(t *testing.T) {
	if testpostgres.Tool("initdb") == "" || testpostgres.Tool("psql") == "" {
		testneed.Missing(t, "PostgreSQL's initdb and psql (Debian has them in postgresql)")
	}
	const password = `p@ss '"\$HOME %41 n33dle`
	server, err := testpostgres.Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	_, err = server.Query(t.Context(), "postgres", `CREATE ROLE "e tl" LOGIN PASSWORD '`+strings.ReplaceAll(password, "'", "''")+`'; CREATE DATABASE "d wh" OWNER "e tl"`)
	require.NoError(t, err)
	line, err := json.Marshal(map[string]any{"warehouse": map[string]any{
		"conn_type": "postgres", "host": "127.0.0.1", "port": server.Port(), "login": "e tl", "password": password, "schema": "d wh",
		"extra": map[string]any{"sslmode": "disable", "application_name": "from extra", "connect_timeout": 10},
	}})
	require.NoError(t, err)
	volume := newVolume(t, map[[2]string]string{{"connection", "warehouse"}: "postgres://"})
	writeFile(t, filepath.Join(volume, "..1", layout.ConnectionsJSON), line)

	psql := func(flags ...string) (string, error) {
		args := append(append([]string{"exec", "--dir", volume}, flags...), "--", testpostgres.Tool("psql"), "-XwAtc",
			"SELECT current_user, current_database(), current_setting('application_name')")
		out, err := testwait.Command(t, "agent", args...).CombinedOutput()
		return string(out), err
	}
	said, err := psql("--as=libpq=warehouse")
	require.NoError(t, err, said)
	assert.Equal(t, "e tl|d wh|from extra\n", said)
	said, err = psql()
	assert.Error(t, err, "without, it finds nobody")
	assert.NotContains(t, said, "n33dle")

	out, err := testwait.Command(t, "agent", "env", "--dir", volume, "--as=libpq=warehouse", "--as=fields=warehouse").Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "\nPGPASSWORD\n")
	assert.Contains(t, string(out), "\nWAREHOUSE_PASSWORD\n")
	assert.NotContains(t, string(out), "n33dle")
}
