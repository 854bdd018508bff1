//go:build airflow

package metastore

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/metastore"
	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/pkg/airflow/export"
	"github.com/leoflow/secrets-csi/test/stack"
	"github.com/leoflow/secrets-csi/test/venv"
)

// onMariaDB are versions of Airflow with what each speaks to MariaDB by.
var onMariaDB = []struct {
	number, before, python, scheme string
	packages                       []string
}{
	{"3.3.2", "2026-11-20", ">=3.11,<3.14", "mysql+mysqldb", []string{"mysqlclient", "aiomysql"}},
	{"2.11.2", "2026-11-20", ">=3.11,<3.13", "mysql+pymysql", []string{"pymysql"}},
}

// lostByExports are variables that Airflow exports as what their JSON means.
var lostByExports = map[string]string{
	"var_23": "a number loses the zero at its end",
	"var_34": "a number that is too large for a float is Infinity",
	"var_36": "2.11 exports JSON that is text as that text",
}

// TestTheExporterWithMariaDB has Airflow keep its values in MariaDB, which core does not read, and the chart's exporter
// bring them to a pod.
func TestTheExporterWithMariaDB(t *testing.T) {
	testneed.Program(t, "mariadbd", "mariadb-install-db", "mariadb_config")
	bin := programs(t)
	maria := startMariaDB(t)
	chosen := onMariaDB[:1]
	if *all {
		chosen = onMariaDB
	}
	for _, version := range chosen {
		t.Run(version.number, func(t *testing.T) {
			recipe := venv.Recipe{Name: "mariadb-" + version.number, Python: version.python, Before: version.before, Packages: append([]string{"apache-airflow==" + version.number}, version.packages...)}
			dir, err := recipe.Make(t.Context(), *cache, func(line string) { t.Log(line) })
			require.NoError(t, err)
			maria.query(t, "DROP DATABASE IF EXISTS airflow; CREATE DATABASE airflow CHARACTER SET utf8mb4; CREATE USER IF NOT EXISTS airflow@'127.0.0.1' IDENTIFIED BY 'owner'; GRANT ALL ON airflow.* TO airflow@'127.0.0.1'")
			c := &court{t: t, venv: dir, home: t.TempDir(), lost: lostByExports, url: version.scheme + "://airflow:owner@" + maria.address + "/airflow?charset=utf8mb4"}
			c.run("airflow", "db", "migrate")
			airflows := c.fill()
			for _, name := range []string{"undecryptable"} { // of which Airflow exports nothing, nor of any other
				maria.query(t, "DELETE FROM airflow.connection WHERE conn_id = '"+name+"'")
				delete(airflows.Connections, name)
			}
			connections, variables := c.export("1")
			c.judgeAnswers(asJSON(airflows), asJSON(exported(t, connections, variables)))
			c.judgePod(bin, connections, variables)
		})
	}
}

// exported is what core reads in the exporter's files.
func exported(t *testing.T, connections, variables string) answers {
	t.Helper()
	made := answers{map[string]map[string]any{}, map[string]map[string]any{}}
	content, err := os.ReadFile(connections)
	require.NoError(t, err)
	held, faults, err := export.ReadConnections(connections, content, func(string) bool { return false })
	require.NoError(t, err)
	for _, one := range held {
		made.Connections[one.ID] = fields(metastore.Row{Connection: one.Connection})
	}
	content, err = os.ReadFile(variables)
	require.NoError(t, err)
	texts, more, err := export.ReadVariables(variables, content)
	require.NoError(t, err)
	for _, one := range texts {
		made.Variables[one.Key] = map[string]any{"val": one.Value.Reveal()}
	}
	for _, fault := range faults {
		made.Connections[fault.ID] = map[string]any{"error": fault}
	}
	for _, fault := range more {
		made.Variables[fault.ID] = map[string]any{"error": fault}
	}
	return made
}

// asJSON spells values that are JSON in one way: an export keeps what they mean and not how they are
// written, and an empty extra is none there.
func asJSON(all answers) answers {
	spell := func(value any) any {
		var read any
		text, isText := value.(string)
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		switch {
		case text == "" && isText:
			return nil
		case !isText || decoder.Decode(&read) != nil || decoder.More():
			return value
		}
		again, _ := json.Marshal(read) // of what was JSON: cannot fail
		return string(again)
	}
	for _, connection := range all.Connections {
		if _, failed := connection["error"]; !failed {
			connection["extra"] = spell(connection["extra"])
		}
	}
	for _, variable := range all.Variables {
		if text, given := variable["val"]; given && text != "" {
			variable["val"] = spell(text)
		}
	}
	return all
}

// judgePod has an edit by Airflow's own command reach a pod, through the exporter, core and the driver.
func (c *court) judgePod(bin, connections, variables string) {
	t := c.t
	edit := func(host string) {
		file := filepath.Join(c.home, "edit.json")
		require.NoError(t, os.WriteFile(file, []byte(`{"edited": {"conn_type": "postgres", "login": "u", "host": "`+host+`"}}`), 0o600))
		c.run("airflow", "connections", "import", "--overwrite", file)
	}
	edit("first")
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(connections)
		return err == nil && strings.Contains(string(content), `"edited"`)
	}, time.Minute, 20*time.Millisecond)
	s, err := stack.Start(t.Context(), stack.Options{
		Bin: bin, Connections: "{}", Variables: "{}", Rules: rules, CoreArgs: []string{"--connections=" + connections, "--variables=" + variables},
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	tokens, err := s.Tokens(1, auth.Caller{Tenant: "acme", DAG: "metastore"}, time.Hour)
	require.NoError(t, err)
	pod := stack.Pod{Name: "pod", UID: "uid", Namespace: "airflow", ServiceAccount: "etl", Token: tokens[0], Attributes: map[string]string{"connections": "edited"}}
	require.NoError(t, s.Kubelet.Publish(t.Context(), pod))
	edit("second")
	began := time.Now()
	inLast := c.inAll(s, []stack.Pod{pod}, "second")
	require.False(t, inLast.IsZero(), "the edit is never in the pod")
	t.Logf("an edit is in the pod %v after Airflow's command ended, with an export a second", inLast.Sub(began).Round(time.Millisecond))
}

type mariaDB struct{ address, socket string }

func startMariaDB(t *testing.T) mariaDB {
	t.Helper()
	dir := t.TempDir()
	address, err := testport.Free()
	require.NoError(t, err)
	made := mariaDB{address, filepath.Join(dir, "s")}
	_, port, _ := strings.Cut(address, ":")
	data := filepath.Join(dir, "data")
	said, err := exec.CommandContext(t.Context(), "mariadb-install-db", "--no-defaults", "--user=root", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput()
	require.NoError(t, err, "%s", said)
	server := exec.Command("mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+made.socket, "--bind-address=127.0.0.1", "--port="+port, "--pid-file="+filepath.Join(dir, "pid")) //nolint:noctx // it lives as long as the test
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	require.Eventually(t, func() bool { return made.ask("SELECT 1") == nil }, time.Minute, 50*time.Millisecond)
	return made
}

func (m mariaDB) ask(sql string) error {
	return exec.Command("mariadb", "--no-defaults", "--socket="+m.socket, "-u", "root", "-e", sql).Run() //nolint:noctx // it ends by itself
}

func (m mariaDB) query(t *testing.T, sql string) {
	t.Helper()
	require.NoError(t, m.ask(sql))
}
