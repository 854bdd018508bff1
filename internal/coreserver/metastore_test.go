package coreserver_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/metric"
	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/internal/testpostgres"
)

const tables = `
CREATE TABLE connection (id serial PRIMARY KEY, conn_id text, conn_type text DEFAULT 'http', host text, schema text, login text, password text,
  port integer, extra text, description text, is_encrypted boolean, is_extra_encrypted boolean, team_name text);
CREATE TABLE variable (id serial PRIMARY KEY, key text, val text, is_encrypted boolean, team_name text);
INSERT INTO connection (conn_id, host, password, team_name) VALUES
  ('shared', 'h1', 'n33dle', NULL), ('shared', 'of payments', 'n33dle', 'payments'), ('stray', 'h', 'n33dle', 'nobody'), ('sealed', 'h', 'sealed:v2:n33dle', NULL);
INSERT INTO variable (key, val) VALUES ('region', 'eu');
CREATE ROLE reader LOGIN PASSWORD 'n33dle';
GRANT SELECT ON connection, variable TO reader;
`

// onMetastore boots a core whose only source is the database.
func onMetastore(t *testing.T, server *testpostgres.Server, observer coreserver.Observer) *core {
	c := &core{t: t, directory: t.TempDir(), authority: newAuthority(t), audit: newLines(), log: newLines()}
	c.authority.install(c.directory, 1)
	c.write("ca.crt", string(c.authority.PEM()))
	c.write("db-url", server.URL("reader", "n33dle", "postgres"))
	c.write("rules.yaml", `teams: [{name: payments, tenants: [payments], sources: []}]
rules:
- {tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}
- {team: payments, tenants: [payments], dags: ['*'], connections: ['*'], variables: ['*']}
`)
	c.boot(func(config *coreserver.Config) {
		config.Connections, config.Variables = "", ""
		config.Metastore.URLFile, config.Observer = filepath.Join(c.directory, "db-url"), observer
	})
	return c
}

// host is that of connection id for tenant, or why there is none.
func (c *core) host(tenant, id string) (host, version string) {
	token, err := c.tokens.Mint(auth.Caller{Tenant: tenant, DAG: "d"}, time.Minute)
	require.NoError(c.t, err)
	response, err := c.secrets().Fetch(within(c.t), &secretsv1.FetchRequest{Callers: callers(token.Reveal()), Connections: named(id)})
	require.NoError(c.t, err)
	if refused := response.Results[0].Refusals; len(refused) > 0 {
		return cmp.Or(refused[0].Detail, refused[0].Reason.String()), ""
	}
	return response.Connections[0].GetHost(), response.Connections[0].Version
}

// TestMetastore has two cores on one database, which goes away, comes back and loses everything.
func TestMetastore(t *testing.T) {
	if testpostgres.Tool("initdb") == "" {
		testneed.Missing(t, "PostgreSQL's initdb (Debian has it in postgresql)")
	}
	server, err := testpostgres.Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	query := func(sql string) {
		_, err := server.Query(t.Context(), "postgres", sql)
		require.NoError(t, err)
	}
	query(tables)
	one, two := onMetastore(t, server, nil), onMetastore(t, server, nil)

	host, version := one.host("acme", "shared")
	assert.Equal(t, "h1", host)
	_, other := two.host("acme", "shared")
	assert.Equal(t, version, other, "replicas name one state by one version")
	host, _ = one.host("payments", "shared")
	assert.Equal(t, "of payments", host)
	host, _ = one.host("acme", "stray")
	assert.Equal(t, "REASON_MISSING", host, "a team's entry is nobody else's, though core knows no such team")
	one.log.await(t, `is of team \"nobody\", and there is no such team in the admin's file`)
	host, _ = one.host("acme", "sealed")
	assert.Equal(t, "h", host, "what only looks sealed is a password")

	watch := two.watch("")
	assert.True(t, watch.next().Resync)
	edited := time.Now()
	query("UPDATE connection SET host = 'h2' WHERE host = 'h1'")
	assert.Equal(t, []string{"shared"}, names(watch.next()))
	assert.Less(t, time.Since(edited), 3*time.Second)

	assert.Eventually(t, func() bool { host, _ := one.host("acme", "shared"); return host == "h2" }, 10*time.Second, 20*time.Millisecond)

	query("DELETE FROM connection")
	one.log.await(t, `table \"connection\" of Airflow's database has no rows, and had 4; they stay in force`)
	host, _ = one.host("acme", "shared")
	assert.Equal(t, "h2", host)

	server.Stop()
	one.log.await(t, "Airflow's database: the database ")
	host, _ = one.host("acme", "shared")
	assert.Equal(t, "h2", host, "what was read stays")
	about := one.server.Files()
	fault := about[len(about)-1]
	assert.Equal(t, "metastore", fault.Kind)
	assert.NotEmpty(t, fault.Fault)
	assert.False(t, fault.ReadAt.IsZero())

	metrics := metric.New()
	counts := func() string {
		page := httptest.NewRecorder()
		metrics.Handler().ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		return page.Body.String()
	}
	late := onMetastore(t, server, metrics)
	host, _ = late.host("acme", "shared")
	assert.Contains(t, host, "core cannot decide", "a core that never read the database gives nothing and takes nothing away")
	assert.Contains(t, counts(), `leoflow_core_source_calls_total{outcome="failed",source="metastore"}`)
	assert.NotContains(t, counts(), `outcome="ok",source="metastore"`)
	require.NoError(t, server.Start(t.Context()))
	query("INSERT INTO connection (conn_id, host) VALUES ('shared', 'h3')")
	for _, c := range []*core{one, late} {
		assert.Eventually(t, func() bool { host, _ := c.host("acme", "shared"); return host == "h3" }, 20*time.Second, 50*time.Millisecond)
		assert.Empty(t, c.server.Files()[len(c.server.Files())-1].Fault)
	}
	assert.Contains(t, counts(), `outcome="ok",source="metastore"`)
	for _, c := range []*core{one, two, late} {
		assert.NotContains(t, c.log.String()+c.audit.String(), "n33dle")
	}
}

func TestAMetastoreIsNotBegunWithoutItsFiles(t *testing.T) {
	c := &core{t: t, directory: t.TempDir(), authority: newAuthority(t), audit: newLines(), log: newLines()}
	c.authority.install(c.directory, 1)
	for _, name := range []string{"rules.yaml", "connections.json", "variables.yaml"} {
		c.write(name, files[name])
	}
	c.write("ca.crt", string(c.authority.PEM()))
	c.write("db-url", "mysql://u:n33dle@h/d")
	c.write("keys", "n33dle")
	for url, want := range map[string]string{"absent": "no such file", "db-url": "is no URL of PostgreSQL"} {
		config := c.config()
		config.Metastore.URLFile = filepath.Join(c.directory, url)
		_, err := coreserver.New(config)
		assert.ErrorContains(t, err, want)
	}
	config := c.config()
	config.Metastore.URLFile, config.Metastore.KeysFile = filepath.Join(c.directory, "db-url"), filepath.Join(c.directory, "keys")
	_, err := coreserver.New(config)
	require.ErrorContains(t, err, "key 1 of 1 is no Fernet key")
	assert.False(t, strings.Contains(err.Error(), "n33dle") && !strings.Contains(os.TempDir(), "n33dle"))
}
