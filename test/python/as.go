package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/leoflow/secrets-csi/internal/testpostgres"
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

// words has a real dbt connect to a real server by what 'agent exec --as fields=mart' sets.
func (j *judge) words(ctx context.Context) (err error) {
	python := interpreters(ctx)
	recipe := venv.Recipe{
		Name: "dbt", Python: python[pick(python, "3.13", "3.12", "3.11")], Before: before,
		Packages: []string{"dbt-core==1.11.16", "dbt-postgres==1.11.0"},
	}
	dir, err := recipe.Make(ctx, j.cache, func(line string) { say("%s", line) })
	if err != nil {
		return err
	}
	server, err := testpostgres.Start(ctx, j.dir)
	if err != nil {
		return err
	}
	defer server.Stop()
	if _, err := server.Query(ctx, "postgres", "CREATE ROLE etl LOGIN PASSWORD '"+password+"'; CREATE DATABASE mart OWNER etl"); err != nil {
		return err
	}
	project, volume := filepath.Join(j.dir, "dbt"), filepath.Join(j.dir, "mart")
	for name, content := range dbtProject {
		err = errors.Join(err, writeBelow(project, name, content))
	}
	host, port, splitErr := net.SplitHostPort(server.Address)
	line := fmt.Sprintf(`{"mart": {"conn_type": "postgres", "host": %q, "port": %s, "login": "etl", "password": %q, "schema": "mart", "extra": {"sslmode": "disable"}}}`, host, port, password)
	err = errors.Join(err, splitErr, writeBelow(volume, "..1/airflow/connections.json", line), writeBelow(volume, "..1/connections/mart", "postgres://"),
		writeBelow(volume, "..1/manifest.json", `{"schema": 1, "generation": 1, "entries": [
			{"kind": "connection", "id": "mart", "state": "delivered", "env": "AIRFLOW_CONN_MART", "file": "connections/mart"}]}`),
		os.Symlink("..1", filepath.Join(volume, "..data")))
	if err != nil {
		return err
	}
	agent := filepath.Join(j.dir, "agent")
	if err := venv.Quiet(ctx, "go", "build", "-o", agent, "./cmd/agent"); err != nil {
		return err
	}
	command := exec.CommandContext(ctx, agent, "exec", "--dir", volume, "--as", "fields=mart", "--",
		filepath.Join(dir, "bin", "dbt"), "--no-use-colors", "--no-send-anonymous-usage-stats", "debug", "--project-dir", project, "--profiles-dir", project)
	command.Env = append(os.Environ(), "HOME="+j.dir)
	said, err := command.CombinedOutput()
	if err != nil {
		j.fail("dbt debug on what --as fields=mart sets: %v\n%s", err, tail(said))
	}
	j.searchNeedle("dbt debug", said)
	return nil
}

func writeBelow(dir, name, content string) error {
	path := filepath.Join(dir, name)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600))
}
