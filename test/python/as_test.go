//go:build python

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testpostgres"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/venv"
)

// dbtProject is what dbt takes for one: the profile asks the environment for each field, as its manual
// has it.
var dbtProject = map[string]string{
	"dbt_project.yml": "name: etl\nprofile: etl\n",
	"profiles.yml": `etl:
  target: dev
  outputs:
    dev:
      type: postgres
      host: "{{ env_var('MART_HOST') }}"
      port: "{{ env_var('MART_PORT') | int }}"
      user: "{{ env_var('MART_LOGIN') }}"
      pass: "{{ env_var('MART_PASSWORD') }}"
      dbname: "{{ env_var('MART_SCHEMA') }}"
      sslmode: "{{ env_var('MART_EXTRA_SSLMODE') }}"
      schema: public
`,
}

// A real dbt connects to a real server by what 'agent exec --as fields=mart' sets.
func TestDbtConnectsByWhatFieldsSet(t *testing.T) {
	ctx := testwait.Context(t)
	j := &judge{cache: defaultCache(), dir: t.TempDir()}
	python := interpreters(ctx)
	recipe := venv.Recipe{
		Name: "dbt", Python: python[pick(python, "3.13", "3.12", "3.11")], Before: before,
		Packages: []string{"dbt-core==1.11.16", "dbt-postgres==1.11.0"},
	}
	dbt, err := recipe.Make(ctx, j.cache, func(line string) { t.Log(line) })
	require.NoError(t, err)
	server, err := testpostgres.Start(ctx, j.dir)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	_, err = server.Query(ctx, "postgres", "CREATE ROLE etl LOGIN PASSWORD '"+password+"'; CREATE DATABASE mart OWNER etl")
	require.NoError(t, err)

	project, volume := filepath.Join(j.dir, "dbt"), filepath.Join(j.dir, "mart")
	for name, content := range dbtProject {
		write(t, project, name, content)
	}
	host, port, err := net.SplitHostPort(server.Address)
	require.NoError(t, err)
	write(t, volume, "..1/airflow/connections.json", fmt.Sprintf(`{"mart": {"conn_type": "postgres", "host": %q, "port": %s, "login": "etl", "password": %q, "schema": "mart", "extra": {"sslmode": "disable"}}}`, host, port, password))
	write(t, volume, "..1/connections/mart", "postgres://")
	write(t, volume, "..1/manifest.json", `{"schema": 1, "generation": 1, "entries": [
		{"kind": "connection", "id": "mart", "state": "delivered", "env": "AIRFLOW_CONN_MART", "file": "connections/mart"}]}`)
	require.NoError(t, os.Symlink("..1", filepath.Join(volume, "..data")))

	agent := filepath.Join(j.dir, "agent")
	require.NoError(t, venv.Quiet(ctx, "go", "build", "-o", agent, "../../cmd/agent"))
	command := exec.CommandContext(ctx, agent, "exec", "--dir", volume, "--as", "fields=mart", "--",
		filepath.Join(dbt, "bin", "dbt"), "--no-use-colors", "--no-send-anonymous-usage-stats", "debug", "--project-dir", project, "--profiles-dir", project)
	command.Env = append(os.Environ(), "HOME="+j.dir)
	said, err := command.CombinedOutput()
	require.NoErrorf(t, err, "%s", tail(said))
	j.searchNeedle("dbt debug", said)
	require.Empty(t, j.failures)
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)))
}
