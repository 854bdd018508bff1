package coreserver_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/audit"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const jwtKey = "n33dle-key-0a1B2c3D4e5F6g7H8i9Jk"

// files are those that every test begins with.
var files = map[string]string{
	"connections.json": `{
"warehouse": "postgres://loader:n33dle@db:5432/main",
"gcp_default": {"conn_type": "google_cloud_platform", "extra": {"project": "p"}},
"broken": {"conn_type": "x", "port": "n33dle"},
"secret": "mysql://u:n33dle@h"
}`,
	"variables.yaml": "env: n33dle-env\nregion: n33dle-region\n",
	"rules.yaml": `rules:
- tenants: [acme]
  dags: ["billing_*"]
  connections: [warehouse, gcp_*, broken, absent]
  variables: [env]
- tenants: [acme]
  dags: [audit]
  connections: ["*"]
  variables: ["*"]
`,
}

// core is a running core of a test.
type core struct {
	t         testing.TB
	directory string
	authority *authority
	tokens    *auth.Tokens
	server    *coreserver.Server
	address   string
	audit     *lines
	log       *lines
	// stop ends the core and returns what Serve did.
	stop func() error
}

// startCore boots a core on a loopback port. change may break one thing of its
// configuration.
func startCore(t testing.TB, change func(*coreserver.Config)) *core {
	c := &core{t: t, directory: t.TempDir(), authority: newAuthority(t), audit: newLines(), log: newLines()}
	for name, content := range files {
		c.write(name, content)
	}
	c.authority.install(c.directory, 1)
	replace(t, filepath.Join(c.directory, "ca.crt"), c.authority.PEM())
	c.boot(change)
	return c
}

func (c *core) config() coreserver.Config {
	var err error
	c.tokens, err = auth.NewTokens(secret.New(jwtKey), auth.LongestLife, time.Now)
	require.NoError(c.t, err)
	in := func(name string) string { return filepath.Join(c.directory, name) }
	return coreserver.Config{
		Connections: in("connections.json"), Variables: in("variables.yaml"), Rules: in("rules.yaml"),
		Cert: in("tls.crt"), Key: in("tls.key"), ClientCA: in("ca.crt"), NodeNames: rule.Patterns{"node-*"},
		Authenticator: c.tokens, VersionSecret: c.tokens.Key(), Audit: c.audit,
		Log:  slog.New(slog.NewJSONHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Poll: time.Hour, Heartbeat: time.Hour,
		MaxPeerConnections: 4096, // all callers of a test are one peer
	}
}

func (c *core) boot(change func(*coreserver.Config)) {
	config := c.config()
	if change != nil {
		change(&config)
	}
	var err error
	c.server, err = coreserver.New(config)
	require.NoError(c.t, err)
	listener, err := new(net.ListenConfig).Listen(c.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	c.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.server.Serve(ctx, listener) }()
	c.stop = sync.OnceValue(func() error { cancel(); return testwait.Receive(c.t, ended) })
	c.t.Cleanup(func() { require.NoError(c.t, c.stop()) })
}

func (c *core) write(name, content string) {
	replace(c.t, filepath.Join(c.directory, name), []byte(content))
}

// dialTLS connects without gRPC.
func (c *core) dialTLS(config *tls.Config) (*tls.Conn, error) {
	conn, err := (&tls.Dialer{Config: config}).DialContext(within(c.t), "tcp", c.address)
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), nil
}

// dial connects with the client certificates given, at most one.
func (c *core) dial(certificates ...tls.Certificate) *grpc.ClientConn {
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: c.authority.Pool(), Certificates: certificates,
	})))
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (c *core) agent() agentv1.AgentServiceClient { return agentv1.NewAgentServiceClient(c.dial()) }

func (c *core) secrets(certificates ...tls.Certificate) secretsv1.SecretsServiceClient {
	return secretsv1.NewSecretsServiceClient(c.dial(certificates...))
}

func (c *core) token(dag string) string { return c.taskToken(dag, "load") }

func (c *core) taskToken(dag, task string) string {
	token, err := c.tokens.Mint(auth.Caller{Tenant: "acme", DAG: dag, Run: "run_1", Task: task, Try: 1}, time.Minute)
	require.NoError(c.t, err)
	return token.Reveal()
}

// records are the decisions that the audit log has.
func (c *core) records() []audit.Record {
	return slices.DeleteFunc(c.allRecords(), func(record audit.Record) bool { return record.Outcome != "" })
}

// allRecords are all that the audit log has. An outcome is written after the answer.
func (c *core) allRecords() []audit.Record {
	var records []audit.Record
	for line := range strings.Lines(c.audit.String()) {
		var record audit.Record
		require.NoError(c.t, json.Unmarshal([]byte(line), &record))
		records = append(records, record)
	}
	return records
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testwait.Limit)
	t.Cleanup(cancel)
	return ctx
}

func bearing(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// lines is an output that a test may wait for.
type lines struct{ testwait.Output }

func newLines() *lines { return new(lines) }

func (l *lines) await(t testing.TB, part string) {
	t.Helper()
	l.Await(t, part)
}
