//go:build airflow

// Package metastore has real Airflow fill its database, and judge what core reads there.
package metastore

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/metastore"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
	"github.com/leoflow/secrets-csi/pkg/secret"
	"github.com/leoflow/secrets-csi/test/venv"
)

var (
	all   = flag.Bool("all", false, "judge by every version, not by the newest alone")
	cache = flag.String("cache", defaultCache(), "the `directory` that keeps installed versions")
)

func defaultCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "leoflow-airflow-test")
}

type version struct{ series, number, before, python string }

// versions has the newest first.
var versions = []version{
	{"3.3", "3.3.2", "2026-11-20", ">=3.11,<3.14"},
	{"3.1", "3.1.8", "2026-11-20", ">=3.11,<3.14"},
	{"2.11", "2.11.2", "2026-11-20", ">=3.11,<3.13"},
	{"2.10", "2.10.5", "2025-03-01", ">=3.11,<3.13"},
}

const (
	firstKey  = "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs="
	secondKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
)

// differences are those that are meant, by the entry.
var differences = map[string]string{
	"type_2":   "the type is spelled as Airflow spells one that it has read from text, which is what a pod reads",
	"toolarge": "a port above 65535 is invalid",
}

// readerSQL is the documents' SQL for core's role.
func readerSQL(t *testing.T) string {
	page, err := os.ReadFile("../../docs/metastore.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "<!-- sql: reader -->\n```sql\n")
	require.True(t, found)
	sql, _, _ := strings.Cut(rest, "```")
	return sql
}

func TestRealAirflowFillsItsDatabase(t *testing.T) {
	bin := programs(t)
	server := startServer(t)
	chosen := versions[:1]
	if *all {
		chosen = versions
	}
	for _, version := range chosen {
		t.Run(version.series, func(t *testing.T) {
			c := newCourt(t, server, version)
			c.judge()
			c.judgeRole()
			c.judgeCommand()
			if version == chosen[0] {
				c.judgeExporter(bin)
				c.judgePods(bin)
			}
		})
	}
}

func startServer(t *testing.T) *testpostgres.Server {
	t.Helper()
	server, err := testpostgres.Start(t.Context(), t.TempDir(), "track_commit_timestamp=on")
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

// newCourt has an Airflow of a version make its database, and core's role there.
func newCourt(t *testing.T, server *testpostgres.Server, version version) *court {
	t.Helper()
	recipe := venv.Recipe{Name: "metastore-" + version.number, Python: version.python, Before: version.before, Packages: []string{"apache-airflow==" + version.number, "psycopg2-binary", "asyncpg"}}
	dir, err := recipe.Make(t.Context(), *cache, func(line string) { t.Log(line) })
	require.NoError(t, err)
	c := &court{t: t, server: server, venv: dir, home: t.TempDir(), database: "airflow"}
	c.query("postgres", "DROP DATABASE IF EXISTS airflow; CREATE DATABASE airflow")
	c.run("airflow", "db", "migrate")
	c.query("airflow", "DROP OWNED BY leoflow_reader; DROP ROLE leoflow_reader", "may be absent")
	c.query("airflow", readerSQL(t))
	return c
}

type court struct {
	t                    *testing.T
	server               *testpostgres.Server
	venv, home, database string
	// url is another database's than the server's, by SQLAlchemy, and lost is what differs there besides.
	url  string
	lost map[string]string
	// more is the environment's.
	more []string
}

func (c *court) query(database, sql string, mayFail ...string) string {
	out, err := c.server.Query(c.t.Context(), database, sql)
	if len(mayFail) == 0 {
		require.NoError(c.t, err)
	}
	return out
}

// run runs a program of the environment, and returns what it prints.
func (c *court) run(program string, args ...string) string {
	out, err := c.command(c.t.Context(), filepath.Join(c.venv, "bin", program), args...).Output()
	var failed *exec.ExitError
	if err != nil && assert.ErrorAs(c.t, err, &failed) {
		require.NoError(c.t, err, "%s", failed.Stderr)
	}
	return string(out)
}

// command runs where Airflow is what its database and its keys say.
func (c *court) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = c.home
	command.Env = []string{
		"PATH=" + filepath.Join(c.venv, "bin") + ":" + os.Getenv("PATH"), "HOME=" + c.home, "AIRFLOW_HOME=" + c.home, "LANG=C.UTF-8", "PYTHONWARNINGS=ignore",
		"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=" + c.sqlAlchemy(),
		"AIRFLOW__CORE__FERNET_KEY=" + secondKey + "," + firstKey, "AIRFLOW__CORE__LOAD_EXAMPLES=False", "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS=False",
		"AIRFLOW__CORE__UNIT_TEST_MODE=False", "AIRFLOW__CORE__EXECUTOR=LocalExecutor",
	}
	command.Env = append(command.Env, c.more...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	return command
}

func (c *court) sqlAlchemy() string {
	if c.url != "" {
		return c.url
	}
	return "postgresql+psycopg2://postgres@/" + c.database + "?host=" + c.server.Dir + "&port=" + strconv.Itoa(c.server.Port())
}

func (c *court) reader() *metastore.Reader {
	config := metastore.Config{URLFile: filepath.Join(c.home, "url"), KeysFile: filepath.Join(c.home, "keys")}
	url := c.server.URL("leoflow_reader", "a long random one", c.database) + "?sslmode=disable"
	require.NoError(c.t, os.WriteFile(config.URLFile, []byte(url), 0o600))
	require.NoError(c.t, os.WriteFile(config.KeysFile, []byte(secondKey+","+firstKey), 0o600))
	reader, err := metastore.New(config)
	require.NoError(c.t, err)
	c.t.Cleanup(reader.Close)
	return reader
}

// answers are what Airflow returns for each name; an error stands under "error".
type answers struct{ Connections, Variables map[string]map[string]any }

// fill makes nasty entries by Airflow's own ORM, and returns what Airflow reads of them.
func (c *court) fill() (airflows answers) {
	script, err := filepath.Abs("python/make.py")
	require.NoError(c.t, err)
	_, text, answered := strings.Cut(c.run("python", script, firstKey, secondKey), "ANSWERS")
	require.True(c.t, answered)
	require.NoError(c.t, json.Unmarshal([]byte(text), &airflows))
	return airflows
}

func (c *court) judge() {
	airflows := c.fill()
	found, err := c.reader().Look(context.Background())
	require.NoError(c.t, err)
	ours := answers{map[string]map[string]any{}, map[string]map[string]any{}}
	for _, row := range found.Connections {
		ours.Connections[row.Name.ID] = fields(row)
	}
	for _, row := range found.Variables {
		ours.Variables[row.Name.ID] = map[string]any{"val": row.Text.Reveal()}
		if row.Invalid != "" {
			ours.Variables[row.Name.ID] = map[string]any{"error": row.Invalid}
		}
	}
	c.judgeAnswers(airflows, ours)
}

func (c *court) judgeAnswers(airflows, ours answers) {
	equal := c.compare("connection", airflows.Connections, ours.Connections)
	assert.GreaterOrEqual(c.t, len(airflows.Connections), 100)
	variables := c.compare("variable", airflows.Variables, ours.Variables)
	c.t.Logf("connections equal: %d of %d, variables: %d of %d", equal, len(airflows.Connections), variables, len(airflows.Variables))
}

func (c *court) compare(kind string, theirs, ours map[string]map[string]any) (equal int) {
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		want, got := theirs[name], ours[name]
		delete(ours, name)
		_, fails := want["error"]
		_, isInvalid := got["error"]
		switch {
		case fmt.Sprint(want) == fmt.Sprint(got), fails && (isInvalid || got == nil):
			equal++
		case differences[name] != "":
			c.t.Logf("%s %s differs: %s", kind, name, differences[name])
		case c.lost[name] != "":
			c.t.Logf("%s %s differs: %s", kind, name, c.lost[name])
		default:
			assert.Equal(c.t, want, got, "%s %s", kind, name)
		}
	}
	assert.Empty(c.t, slices.Collect(maps.Keys(ours)), "%s that Airflow was not asked for", kind)
	return equal
}

func fields(row metastore.Row) map[string]any {
	if row.Invalid != "" {
		return map[string]any{"error": row.Invalid}
	}
	conn := row.Connection
	all := map[string]any{"conn_type": conn.Type, "port": nil}
	for name, text := range map[string]*string{"description": conn.Description, "host": conn.Host, "login": conn.Login, "schema": conn.Schema} {
		all[name] = any(nil)
		if text != nil {
			all[name] = *text
		}
	}
	for name, text := range map[string]*secret.Text{"password": conn.Password, "extra": conn.Extra} {
		all[name] = any(nil)
		if text != nil {
			all[name] = text.Reveal()
		}
	}
	if conn.Port != nil {
		all["port"] = float64(*conn.Port)
	}
	return all
}

// judgeRole asks every table of the database as core's role.
func (c *court) judgeRole() {
	readable := c.query(c.database, `SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
AND has_schema_privilege('leoflow_reader', n.oid, 'USAGE') AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('leoflow_reader', c.oid, 'USAGE,SELECT,UPDATE')
ELSE has_table_privilege('leoflow_reader', c.oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER') END`)
	assert.Equal(c.t, "connection variable", readable)
	writable := c.query(c.database, "SELECT has_table_privilege('leoflow_reader', 'connection', 'INSERT,UPDATE,DELETE,TRUNCATE') OR has_table_privilege('leoflow_reader', 'variable', 'INSERT,UPDATE,DELETE,TRUNCATE')")
	assert.Equal(c.t, "f", writable)
}

// judgeCommand edits by Airflow's own command.
func (c *court) judgeCommand() {
	reader := c.reader()
	_, err := reader.Look(context.Background())
	require.NoError(c.t, err)
	c.run("airflow", "connections", "add", "by_command", "--conn-uri", "postgres://u:p@h/first")
	c.run("airflow", "variables", "set", "by_command", "value")
	found, err := reader.Look(context.Background())
	require.NoError(c.t, err)
	assert.True(c.t, found.Changed)
	assert.True(c.t, slices.ContainsFunc(found.Connections, func(r metastore.Row) bool { return r.Name.ID == "by_command" && r.Invalid == "" }))
	assert.True(c.t, slices.ContainsFunc(found.Variables, func(r metastore.Row) bool { return r.Name.ID == "by_command" && r.Text.Reveal() == "value" }))
}
