package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/test/stack"
)

const metastoreTables = `
CREATE TABLE connection (id serial PRIMARY KEY, conn_id text, conn_type text DEFAULT 'http', host text, schema text, login text, password text,
  port integer, extra text, description text, is_encrypted boolean, is_extra_encrypted boolean);
CREATE TABLE variable (id serial PRIMARY KEY, key text, val text, is_encrypted boolean);
INSERT INTO connection (conn_id, host) VALUES ('plain', 'first');
CREATE ROLE reader LOGIN PASSWORD 'n33dle';
GRANT SELECT ON connection, variable TO reader;
`

// fernetToken is one that Python made of "p", and its keys.
func fernetToken(t *testing.T) (token, keys string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "internal", "coreserver", "metastore", "testdata", "fernet.json"))
	require.NoError(t, err)
	var cases []struct {
		Keys, Token string
		Text        *string
	}
	require.NoError(t, json.Unmarshal(content, &cases))
	for _, each := range cases {
		if each.Text != nil && *each.Text == "p" {
			return each.Token, each.Keys
		}
	}
	require.Fail(t, "no such case")
	return "", ""
}

// database is a stack whose core reads Airflow's database, and a pod that runs.
type database struct {
	*clouds
	t      *testing.T
	server *testpostgres.Server
	keys   string
	runs   stack.Pod
}

func startDatabase(t *testing.T) *database {
	if testpostgres.Tool("initdb") == "" {
		testneed.Missing(t, "PostgreSQL's initdb (Debian has it in postgresql)")
	}
	server, err := testpostgres.Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	sealed, keys := fernetToken(t)
	d := &database{clouds: &clouds{metrics: unused(t)}, t: t, server: server, keys: file(t, "keys", []byte(keys))}
	d.startAPI(t)
	d.sql(metastoreTables + "INSERT INTO connection (conn_id, host, password, is_encrypted) VALUES ('sealed', 'h', '" + sealed + "', true)")
	d.Stack = start(t, stack.Options{
		Connections: "{}", Variables: "{}", Rules: allowAll,
		CoreArgs:   []string{"--airflow-db=" + file(t, "url", []byte(server.URL("reader", "n33dle", "postgres"))), "--airflow-fernet-keys=" + d.keys},
		DriverArgs: []string{"--kubeconfig=" + file(t, "kubeconfig", d.api.Kubeconfig()), "--events", "--health-address=" + d.metrics.address},
	})
	d.token = token(t, d.Stack)
	d.runs = pod("runs", d.token, map[string]string{"connections": "plain, sealed"})
	require.NoError(t, d.Kubelet.Publish(t.Context(), d.runs))
	require.Equal(t, "http://:p@h", d.read(t, d.runs, "sealed"))
	return d
}

// run has what d fails at be the subtest's.
func (d *database) run(name string, test func(t *testing.T)) {
	before := d.t
	defer func() { d.t = before }()
	before.Run(name, func(t *testing.T) {
		d.t = t
		test(t)
	})
}

func (d *database) sql(statements string) {
	_, err := d.server.Query(testwait.Context(d.t), "postgres", statements)
	require.NoError(d.t, err)
}

// shows waits until a pod that runs has a host.
func (d *database) shows(host string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool { return d.read(d.t, d.runs, "plain") == "http://"+host }, testwait.Limit, 20*time.Millisecond, "%s is not there", host)
}

func (d *database) logs(says string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool { return strings.Contains(d.Core.Output(), says) }, testwait.Limit, 20*time.Millisecond, "core's log has no %q", says)
}

// TestWhatAirflowsDatabaseSaysReachesPods: a row that cannot be decrypted is its own fault alone, and while the
// tables cannot be read pods run on and start by what was read.
func TestWhatAirflowsDatabaseSaysReachesPods(t *testing.T) {
	t.Parallel() // most of the time it waits
	d := startDatabase(t)
	starts := func(name string) {
		p := pod(name, d.token, map[string]string{"connections": "plain, sealed"})
		require.NoError(t, d.Kubelet.Publish(t.Context(), p), name)
		assert.Equal(t, "http://:p@h", d.read(t, p, "sealed"))
	}

	d.run("a wrong Fernet key", func(t *testing.T) {
		const says = `field "password": cannot be decrypted by any of the Fernet keys, whose SHA-256 begin with `
		right, err := os.ReadFile(d.keys)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(d.keys, []byte("81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs="), 0o600))
		require.Eventually(t, func() bool { return d.hasEvent("runs", "EntryInvalid", says) }, testwait.Limit, 20*time.Millisecond, "%s", asJSON(t, d.api.Events()))
		held := d.entries(t, d.runs)["sealed"]
		require.NotNil(t, held.Held)
		assert.Contains(t, held.Held.Why, says)
		assert.Equal(t, "http://:p@h", d.read(t, d.runs, "sealed"), "what runs keeps it")
		d.sql("UPDATE connection SET host = 'second' WHERE conn_id = 'plain'")
		d.shows("second")

		err = d.Kubelet.Publish(t.Context(), pod("requires", d.token, map[string]string{"connections": "sealed"}))
		require.ErrorContains(t, err, "code = FailedPrecondition")
		require.ErrorContains(t, err, says)
		optional := pod("may-be", d.token, map[string]string{"connections": "sealed?, plain"})
		require.NoError(t, d.Kubelet.Publish(t.Context(), optional))
		told := d.entries(t, optional)["sealed"]
		assert.Equal(t, layout.Invalid, told.State)
		assert.Contains(t, told.Notices[0].Message, says)

		require.NoError(t, os.WriteFile(d.keys, right, 0o600))
		require.Eventually(t, func() bool { return d.entries(t, d.runs)["sealed"].Held == nil }, testwait.Limit, 20*time.Millisecond)
	})
	d.run("a locked table", func(t *testing.T) {
		ended := make(chan error, 1)
		go func() {
			_, err := d.server.Query(context.Background(), "postgres", "BEGIN; LOCK TABLE variable IN ACCESS EXCLUSIVE MODE; UPDATE connection SET host = 'third' WHERE conn_id = 'plain'; SELECT pg_sleep(60)")
			ended <- err
		}()
		d.logs("the table is locked, as by a migration")
		assert.Equal(t, "http://second", d.read(t, d.runs, "plain"))
		starts("while-locked")
		d.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()")
		require.Error(t, testwait.Receive(t, ended))
		d.sql("UPDATE connection SET host = 'third' WHERE conn_id = 'plain'")
		d.shows("third")
	})
	d.run("a schema that lacks a column", func(*testing.T) {
		d.sql("ALTER TABLE connection RENAME COLUMN port TO gone")
		d.logs(`has no column \"port\", which is needed`)
		starts("without-a-column")
		d.sql("ALTER TABLE connection RENAME COLUMN gone TO port; UPDATE connection SET host = 'fourth' WHERE conn_id = 'plain'")
		d.shows("fourth")
	})
	d.run("a database that falls silent", func(t *testing.T) {
		text, err := d.server.Query(testwait.Context(t), "postgres", "SELECT pid FROM pg_stat_activity WHERE application_name = 'leoflow-core' LIMIT 1")
		require.NoError(t, err)
		backend, err := strconv.Atoi(text)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(backend, syscall.SIGSTOP))
		defer func() { _ = syscall.Kill(backend, syscall.SIGCONT) }()
		d.logs("the database does not answer in time")
		starts("while-silent")
		require.NoError(t, syscall.Kill(backend, syscall.SIGCONT))
		d.sql("UPDATE connection SET host = 'after' WHERE conn_id = 'plain'")
		d.shows("after")
	})
	d.run("a database that goes away", func(t *testing.T) {
		d.server.Stop()
		d.logs("Airflow's database: the database ")
		starts("while-away")
		assert.Equal(t, "http://after", d.read(t, d.runs, "plain"))
		require.NoError(t, d.server.Start(testwait.Context(t)))
		d.sql("UPDATE connection SET host = 'fifth' WHERE conn_id = 'plain'")
		d.shows("fifth")
	})
	d.noNeedle(t)
	assert.False(t, d.hasEvent("runs", "EntryWithdrawn", ""), "nothing is taken away")
}
