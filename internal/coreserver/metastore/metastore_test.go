package metastore

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leoflow/secrets-csi/internal/testca"
	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// schema is that of Airflow 3.3, in another order and with a column more.
const schema = `
CREATE TABLE connection (id serial PRIMARY KEY, conn_id varchar(250) UNIQUE, conn_type varchar(500) DEFAULT 'postgres', host varchar(500),
  schema varchar(500), login text, password text, port integer, extra text, description text, is_encrypted boolean, is_extra_encrypted boolean,
  new_in_airflow_4 jsonb, team_name varchar(50));
CREATE TABLE variable (id serial PRIMARY KEY, description text, key varchar(250) UNIQUE, val text, is_encrypted boolean, team_name varchar(50));
CREATE TABLE slot_pool (id serial PRIMARY KEY);
INSERT INTO connection (conn_id, host, password) VALUES ('db', 'h1', 'n33dle'), ('other', 'h2', 'n33dle');
INSERT INTO variable (key, val) VALUES ('region', 'eu');
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON connection, variable TO reader;
`

// rig is one database with a reader of it.
type rig struct {
	t         *testing.T
	server    *testpostgres.Server
	database  string
	url, keys string
	reader    *Reader
	now       time.Time
}

func (r *rig) sql(statements string) string {
	out, err := r.server.Query(testwait.Context(r.t), r.database, statements)
	require.NoError(r.t, err)
	return out
}

func (r *rig) writeURL(text string) { require.NoError(r.t, os.WriteFile(r.url, []byte(text), 0o600)) }

func (r *rig) look() (Found, error) {
	found, err := r.reader.Look(testwait.Context(r.t))
	if err != nil {
		assert.NotContains(r.t, err.Error(), "n33dle")
	}
	return found, err
}

// hosts are the connections as ID=HOST.
func (r *rig) hosts() string {
	found, err := r.look()
	require.NoError(r.t, err)
	var list []string
	for _, row := range found.Connections {
		host := "invalid"
		if row.Invalid == "" {
			host = *row.Connection.Host
		}
		list = append(list, row.Name.ID+"="+host)
	}
	return strings.Join(list, " ")
}

const password = "n33dle @:/?#'\\"

func TestReader(t *testing.T) {
	if testpostgres.Tool("initdb") == "" {
		testneed.Missing(t, "PostgreSQL's initdb (Debian has it in postgresql)")
	}
	server, err := testpostgres.Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	_, err = server.Query(t.Context(), "postgres", "CREATE ROLE reader LOGIN PASSWORD '"+strings.ReplaceAll(password, "'", "''")+"'")
	require.NoError(t, err)
	for name, run := range map[string]func(t *testing.T, r *rig){
		"changes": testChanges, "schema": testSchema, "rights": testRights, "keys": testKeys, "lock": testLock, "bounds": testBounds,
		"cut": testCut, "writes": testWrites, "url": testURL, "tls": testTLS, "xmin": testXmin,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := server.Query(t.Context(), "postgres", "CREATE DATABASE "+name)
			require.NoError(t, err)
			r := &rig{t: t, server: server, database: name, url: filepath.Join(t.TempDir(), "url"), keys: filepath.Join(t.TempDir(), "keys"), now: time.Now()}
			r.sql(schema)
			r.writeURL(server.URL("reader", password, name) + "?sslmode=disable\n")
			require.NoError(t, os.WriteFile(r.keys, []byte(keyOne), 0o600))
			r.reader, err = New(Config{URLFile: r.url, KeysFile: r.keys, Now: func() time.Time { return r.now }})
			require.NoError(t, err)
			t.Cleanup(func() { r.reader.Close() })
			run(t, r)
		})
	}
}

func testChanges(t *testing.T, r *rig) {
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	found, err := r.look()
	require.NoError(t, err)
	assert.False(t, found.Changed)
	assert.Equal(t, "eu", found.Variables[0].Text.Reveal())

	r.sql("UPDATE connection SET host = 'h3' WHERE conn_id = 'db'; INSERT INTO connection (conn_id, host) VALUES ('new', 'h4'); DELETE FROM connection WHERE conn_id = 'other'")
	assert.Equal(t, "db=h3 new=h4", r.hosts())
	r.sql("UPDATE connection SET conn_id = 'renamed' WHERE conn_id = 'db'; DELETE FROM variable")
	assert.Equal(t, "renamed=h3 new=h4", r.hosts())
	found, err = r.look()
	require.NoError(t, err)
	assert.Empty(t, found.Variables)

	r.sql("BEGIN; UPDATE connection SET host = 'h5'; ROLLBACK; VACUUM FULL connection; VACUUM FREEZE connection")
	found, err = r.look()
	require.NoError(t, err)
	assert.False(t, found.Changed, "freezing and rewriting keeps xmin")
}

// testXmin changes rows behind xmin's back: what a restored or another server does.
func testXmin(t *testing.T, r *rig) {
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	for _, table := range r.reader.tables {
		for id, each := range table.rows {
			if each.row.Connection.Host != nil {
				each.row.Connection.Host = new("stale")
				table.rows[id] = each
			}
		}
	}
	assert.Equal(t, "db=stale other=stale", r.hosts(), "equal xmin: the values are not asked for")
	r.now = r.now.Add(readAllAfter + time.Second)
	assert.Equal(t, "db=h1 other=h2", r.hosts(), "after ten minutes they are")
}

func testSchema(t *testing.T, r *rig) {
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	r.sql("ALTER TABLE connection ADD COLUMN more text; UPDATE connection SET team_name = 'payments' WHERE conn_id = 'db'")
	found, err := r.look()
	require.NoError(t, err)
	assert.Equal(t, "payments", found.Connections[0].Team)
	r.sql("ALTER TABLE connection DROP COLUMN team_name, ADD COLUMN team_id uuid DEFAULT '01951111-0000-0000-0000-000000000000'")
	found, err = r.look()
	require.NoError(t, err)
	assert.Equal(t, "01951111-0000-0000-0000-000000000000", found.Connections[0].Team, "a team of 3.1 has an id; nothing of it is for all")
	for _, column := range []string{"is_extra_encrypted", "id"} {
		r.sql("ALTER TABLE connection RENAME COLUMN " + column + " TO gone")
		_, err = r.look()
		assert.EqualError(t, err, `table "connection" has no column "`+column+`", which is needed; core reads those of Airflow 2.10 to 3.3`)
		r.sql("ALTER TABLE connection RENAME COLUMN gone TO " + column)
	}
	r.sql("ALTER TABLE variable RENAME TO elsewhere")
	_, err = r.look()
	assert.EqualError(t, err, `table "variable": there is no such table that the URL's role can see: Airflow has not migrated the database, or its schema is not in the role's search_path`)
	r.sql("CREATE SCHEMA airflow; ALTER TABLE elsewhere RENAME TO variable; ALTER TABLE variable SET SCHEMA airflow; ALTER TABLE connection SET SCHEMA airflow; GRANT USAGE ON SCHEMA airflow TO reader")
	r.writeURL(r.server.URL("reader", password, r.database) + "?options=-csearch_path%3Dairflow")
	assert.Equal(t, "db=h1 other=h2", r.hosts())
}

func testRights(t *testing.T, r *rig) {
	r.sql("REVOKE SELECT ON variable FROM reader")
	_, err := r.look()
	assert.EqualError(t, err, `reading table "variable": the URL's role may not read the table: GRANT USAGE on its schema and SELECT on it`)
	r.sql("GRANT SELECT ON variable TO reader; REVOKE SELECT ON connection FROM reader")
	_, err = r.look()
	assert.EqualError(t, err, `reading table "connection": the URL's role may not read the table: GRANT USAGE on its schema and SELECT on it`)
}

func testKeys(t *testing.T, r *rig) {
	const token = "gAAAAABnR2h5AAECAwQFBgcICQoLDA0ODw=="
	r.sql("UPDATE connection SET is_encrypted = true, password = '" + token + "' WHERE conn_id = 'db'")
	assert.Equal(t, "db=invalid other=h2", r.hosts())
	require.NoError(t, os.WriteFile(r.keys, []byte("n33dle"), 0o600))
	_, err := r.look()
	assert.EqualError(t, err, r.keys+": key 1 of 1 is no Fernet key, which is 32 bytes as URL-safe base64")
	require.NoError(t, os.WriteFile(r.keys, []byte(keyTwo+","+keyOne), 0o600))
	found, err := r.look()
	require.NoError(t, err)
	assert.True(t, found.Changed, "other keys have all values read again")
	require.NoError(t, os.Remove(r.keys))
	_, err = r.look()
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func testLock(t *testing.T, r *rig) {
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	release := r.hold("BEGIN; LOCK TABLE variable IN ACCESS EXCLUSIVE MODE;")
	_, err := r.look()
	assert.EqualError(t, err, `reading table "variable": the table is locked, as by a migration`)
	release()
	assert.Equal(t, "db=h1 other=h2", r.hosts())
}

// hold keeps a transaction open until release is called.
func (r *rig) hold(statements string) (release func()) {
	command := testwait.Command(r.t, testpostgres.Tool("psql"), "-h", r.server.Dir, "-p", strconv.Itoa(r.server.Port()), "-U", "postgres", "-d", r.database, "-qAtX")
	input, err := command.StdinPipe()
	require.NoError(r.t, err)
	output, err := command.StdoutPipe()
	require.NoError(r.t, err)
	require.NoError(r.t, command.Start())
	_, err = io.WriteString(input, statements+" SELECT 'held';\n")
	require.NoError(r.t, err)
	_, err = io.ReadFull(output, make([]byte, len("held\n")))
	require.NoError(r.t, err)
	return func() {
		_ = input.Close()
		_ = command.Wait()
	}
}

func testBounds(t *testing.T, r *rig) {
	r.sql("UPDATE connection SET extra = repeat('x', 1048577) WHERE conn_id = 'db'")
	assert.Equal(t, "db=invalid other=h2", r.hosts())
	r.sql("UPDATE connection SET extra = repeat('x', 1048576) WHERE conn_id = 'db'")
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	r.sql("INSERT INTO connection (conn_id, host, extra) SELECT 'c' || n, 'h', repeat('x', 1048000) FROM generate_series(1, 16) n")
	_, err := r.look()
	assert.EqualError(t, err, "the tables take more than the 16384 KiB that core has for them; a row counts for 512 bytes besides its own")
	r.sql("DELETE FROM connection WHERE conn_id LIKE 'c%'; INSERT INTO variable (key, val) SELECT 'v' || n, '' FROM generate_series(1, 16383) n")
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	r.sql("INSERT INTO variable (key, val) VALUES ('one more', '')")
	_, err = r.look()
	assert.EqualError(t, err, `table "variable" has more than the 16384 rows that core reads`)
}

// testCut hangs up after each count of bytes that the server may have sent.
func testCut(t *testing.T, r *rig) {
	r.sql("INSERT INTO connection (conn_id, host) SELECT 'c' || n, 'h' FROM generate_series(1, 20) n")
	want := r.hosts()
	cutter := newCutter(t, r.server.Address)
	defer func() { r.reader.Close() }()
	r.writeURL("postgresql://reader:n33dle%20%40%3A%2F%3F%23%27%5C@" + cutter.address + "/" + r.database + "?sslmode=disable")
	failed, whole := 0, 0
	for most := 0; whole == 0; most += 43 {
		cutter.limit(most)
		reader, err := New(r.reader.config)
		require.NoError(t, err)
		found, err := reader.Look(testwait.Context(t))
		reader.Close()
		if err != nil {
			assert.NotContains(t, err.Error(), "n33dle")
			assert.Empty(t, found.Connections)
			failed++
			continue
		}
		assert.Len(t, found.Connections, len(strings.Fields(want)))
		assert.Len(t, found.Variables, 1)
		whole++
	}
	assert.Greater(t, failed, 20)

	cutter.limit(1 << 30)
	assert.Equal(t, want, r.hosts())
	r.sql("UPDATE connection SET host = 'changed'")
	cutter.limit(700)
	_, err := r.look()
	require.Error(t, err)
	cutter.limit(1 << 30)
	assert.Equal(t, len(strings.Fields(want)), strings.Count(r.hosts(), "=changed"))
}

// cutter passes a connection on until so many bytes came back.
type cutter struct {
	address string
	mu      sync.Mutex
	most    int
}

func (c *cutter) limit(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = most
}

func newCutter(t *testing.T, to string) *cutter {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{address: listener.Addr().String()}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			all.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			all.Go(func() { c.pass(client, server) })
		}
	})
	return c
}

func (c *cutter) pass(client, server net.Conn) {
	defer func() { _ = client.Close(); _ = server.Close() }()
	buffer, passed := make([]byte, 64<<10), 0
	for {
		n, err := server.Read(buffer)
		c.mu.Lock()
		left := max(0, c.most-passed)
		c.mu.Unlock()
		_, _ = client.Write(buffer[:min(n, left)])
		passed += n
		if err != nil || n > left {
			return
		}
	}
}

// testWrites has the table write whenever somebody reads it.
func testWrites(t *testing.T, r *rig) {
	r.sql(`CREATE FUNCTION write() RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS 'BEGIN INSERT INTO slot_pool DEFAULT VALUES; RETURN true; END';
ALTER TABLE variable ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON variable USING (write())`)
	_, err := r.look()
	assert.EqualError(t, err, `reading table "variable": the database wanted to write, and core only reads`)
	assert.Equal(t, "0", r.sql("SELECT count(*) FROM slot_pool"))
}

func testURL(t *testing.T, r *rig) {
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	for url, want := range map[string]string{
		r.server.URL("reader", "wrong n33dle", r.database): "connecting to Airflow's database: the database refuses the URL's role or its password",
		r.server.URL("n33dle", "n33dle", r.database):       "connecting to Airflow's database: the database refuses the URL's role or its password",
		r.server.URL("reader", password, "n33dle"):         "connecting to Airflow's database: the URL's database is not there",
		"postgresql://u:n33dle@127.0.0.1:1/d":              "connecting to Airflow's database: the database cannot be reached (connection refused)",
		"postgresql://u:p@n33dle.invalid/d":                "connecting to Airflow's database: the URL's host has no address",
	} {
		r.writeURL(url)
		_, err := r.look()
		assert.EqualError(t, err, want)
	}
	r.writeURL(r.server.URL("reader", password, r.database))
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	r.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'leoflow-core' AND datname = 'url'")
	_, err := r.look()
	assert.EqualError(t, err, "asking Airflow's database: the database is starting or stopping")
	assert.Equal(t, "db=h1 other=h2", r.hosts())
}

func testTLS(t *testing.T, r *rig) {
	url := r.server.URL("reader", password, r.database)
	r.writeURL(url + "?sslmode=require")
	_, err := r.look()
	assert.EqualError(t, err, "connecting to Airflow's database: TLS fails; look at sslmode and sslrootcert of the URL, and at the server's certificate")

	authority, err := testca.New("database")
	require.NoError(t, err)
	pair, err := authority.Issue("localhost")
	require.NoError(t, err)
	server, err := testpostgres.Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer server.Stop()
	server.Stop()
	for name, content := range map[string][]byte{"server.crt": pair.Certificate, "server.key": pair.Key} {
		path := filepath.Join(server.Dir, "data", name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		if os.Geteuid() == 0 {
			require.NoError(t, os.Chown(path, 65534, 65534))
		}
	}
	require.NoError(t, server.Start(t.Context(), "ssl=on"))
	_, err = server.Query(t.Context(), "postgres", "CREATE ROLE reader LOGIN PASSWORD 'n33dle';"+schema)
	require.NoError(t, err)
	ca, other := filepath.Join(t.TempDir(), "ca.crt"), filepath.Join(t.TempDir(), "other.crt")
	stranger, err := testca.New("stranger")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(ca, authority.PEM(), 0o600))
	require.NoError(t, os.WriteFile(other, stranger.PEM(), 0o600))
	base := "postgresql://reader:n33dle@localhost:" + strconv.Itoa(server.Port()) + "/postgres?sslmode=verify-full&sslrootcert="
	r.writeURL(base + ca)
	assert.Equal(t, "db=h1 other=h2", r.hosts())
	assert.Equal(t, "t", func() string {
		out, err := server.Query(t.Context(), "postgres", "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'leoflow-core'")
		require.NoError(t, err)
		return out
	}())
	r.writeURL(base + other)
	_, err = r.look()
	assert.ErrorContains(t, err, "TLS fails")
}
