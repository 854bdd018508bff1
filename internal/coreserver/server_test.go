package coreserver_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	agentv1 "github.com/leoflow/secrets-csi/api/leoflow/agent/v1"
	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func TestNewRefusesWhatItCouldNotServeFrom(t *testing.T) {
	c := startCore(t, nil)
	for message, change := range map[string]func(*coreserver.Config){
		`contract "old" is not known; want both, agent or secrets`: func(config *coreserver.Config) { config.Contract = "old" },
		"nothing to serve":           func(config *coreserver.Config) { config.Connections, config.Variables = "", "" },
		"no rules":                   func(config *coreserver.Config) { config.Rules = "" },
		"no authenticator":           func(config *coreserver.Config) { config.Authenticator = nil },
		"no audit log":               func(config *coreserver.Config) { config.Audit = nil },
		"no certificate and key":     func(config *coreserver.Config) { config.Cert = "" },
		"plaintext and certificates": func(config *coreserver.Config) { config.Plaintext = true },
		"reading certificate: open":  func(config *coreserver.Config) { config.Cert = "/absent" },
		"--key: opening the file that it names: no such file": func(config *coreserver.Config) { config.Key = "/absent" },
		"reading client CA: open":                             func(config *coreserver.Config) { config.ClientCA = "/absent" },
		"no PEM certificate in it":                            func(config *coreserver.Config) { config.ClientCA = config.Rules },
		"using certificate":                                   func(config *coreserver.Config) { config.Key = config.Cert },
		"no secret to derive versions from": func(config *coreserver.Config) {
			config.Plaintext, config.Cert, config.Key, config.ClientCA = true, "", "", ""
			config.VersionSecret = secret.Text{}
		},
	} {
		config := c.config()
		change(&config)
		_, err := coreserver.New(config)
		assert.ErrorContains(t, err, message)
	}
}

func TestCoreSpeaksTLS13Alone(t *testing.T) {
	c := startCore(t, nil)
	_, err := c.dialTLS(&tls.Config{RootCAs: c.authority.Pool(), MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	assert.ErrorContains(t, err, "protocol version")
	conn, err := c.dialTLS(&tls.Config{RootCAs: c.authority.Pool(), NextProtos: []string{"h2"}})
	require.NoError(t, err)
	assert.Equal(t, uint16(tls.VersionTLS13), conn.ConnectionState().Version)
	_ = conn.Close()
}

func plaintext(config *coreserver.Config) {
	config.Plaintext, config.Cert, config.Key, config.ClientCA = true, "", "", ""
}

func TestPlaintextIsForLoopbackAlone(t *testing.T) {
	c := startCore(t, plaintext)
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	_, err = agentv1.NewAgentServiceClient(conn).GetVariables(bearing(within(t), c.token("audit")), &agentv1.GetVariablesRequest{})
	assert.NoError(t, err)

	config := c.config()
	plaintext(&config)
	server, err := coreserver.New(config)
	require.NoError(t, err)
	everywhere, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "0.0.0.0:0")
	require.NoError(t, err)
	err = server.Serve(context.Background(), everywhere)
	assert.ErrorContains(t, err, "plaintext is for loopback addresses only; ")
}

func TestHealthNeedsNoToken(t *testing.T) {
	c := startCore(t, nil)
	answer, err := healthv1.NewHealthClient(c.dial()).Check(within(t), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	assert.Equal(t, healthv1.HealthCheckResponse_SERVING, answer.Status)
}

// A mounted Kubernetes Secret is links through "..data", which alone is replaced.
func TestAMountedSecretReloads(t *testing.T) {
	c := startCore(t, nil)
	mount := t.TempDir()
	generation := func(name, content string) {
		require.NoError(t, os.Mkdir(filepath.Join(mount, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(mount, name, "variables.yaml"), []byte(content), 0o600))
		require.NoError(t, os.Symlink(name, filepath.Join(mount, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")))
	}
	generation("..1", "env: one\n")
	require.NoError(t, os.Symlink("..data/variables.yaml", filepath.Join(mount, "variables.yaml")))
	require.NoError(t, c.stop())
	c.boot(func(config *coreserver.Config) { config.Variables = filepath.Join(mount, "variables.yaml") })

	w := c.watch("")
	w.next()
	generation("..2", "env: two\n")
	assert.Equal(t, []string{"env"}, names(w.next()))
}

func TestPollingIsEnough(t *testing.T) {
	c := startCore(t, func(config *coreserver.Config) { config.Poll = 5 * time.Millisecond })
	away := t.TempDir()
	path := filepath.Join(c.directory, "variables.yaml")
	// A link out of the watched directory: nothing that happens behind it is notified.
	require.NoError(t, os.WriteFile(filepath.Join(away, "v.yaml"), []byte(files["variables.yaml"]), 0o600))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink(filepath.Join(away, "v.yaml"), path))
	w := c.watch("")
	first := w.next()
	require.NoError(t, os.WriteFile(filepath.Join(away, "v.yaml"), []byte("env: other\n"), 0o600))
	assert.Equal(t, []string{"env", "-region"}, names(w.next()), "since %s", first.Revision)
}

func TestABadFileKeepsTheOldAndNamesTheLine(t *testing.T) {
	c := startCore(t, nil)
	c.write("connections.json", "{\n  \"warehouse\": n33dle\n}")
	c.log.await(t, "connections.json:2: ")
	response, err := c.secrets().Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(c.token("audit")), Connections: named("warehouse")})
	require.NoError(t, err)
	assert.Len(t, response.Connections, 1)
	assert.Contains(t, c.log.String(), `connections.json:4`, "the broken entry was told of at the start")
}

func TestCertificatesAreReadAgain(t *testing.T) {
	c := startCore(t, nil)
	serial := func() int64 {
		conn, err := c.dialTLS(&tls.Config{RootCAs: c.authority.Pool(), NextProtos: []string{"h2"}})
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	assert.Equal(t, int64(1), serial())
	c.authority.install(c.directory, 2)
	c.server.Reload()
	assert.Equal(t, int64(2), serial())

	c.write("tls.crt", string(c.authority.issue("core", 3).Certificate))
	c.log.await(t, "keeping the certificate last read in good order")
	assert.Equal(t, int64(2), serial(), "half a pair is none")
}

// blocking never finishes to authenticate.
type blocking struct{ entered chan struct{} }

func (b blocking) Authenticate(ctx context.Context, _ secret.Text) (auth.Caller, error) {
	close(b.entered)
	<-ctx.Done()
	return auth.Caller{}, auth.ErrUndecided
}

// stuckAudit takes nothing until it is let go.
type stuckAudit struct{ entered, hold chan struct{} }

func (s stuckAudit) Write(lines []byte) (int, error) {
	s.entered <- struct{}{}
	<-s.hold
	return len(lines), nil
}

// A core whose audit log took nothing, a pipe that nobody reads, did not end when it was told to.
func TestAStuckAuditLogKeepsNoCoreFromEnding(t *testing.T) {
	audit := stuckAudit{make(chan struct{}, 1), make(chan struct{})}
	defer close(audit.hold)
	c := startCore(t, func(config *coreserver.Config) {
		config.Audit, config.Grace = audit, 20*time.Millisecond
	})
	client, ended := c.agent(), make(chan error, 1)
	go func() {
		_, err := client.GetVariables(bearing(within(t), "no token"), &agentv1.GetVariablesRequest{})
		ended <- err
	}()
	testwait.Receive(t, audit.entered)
	require.NoError(t, c.stop())
	assert.Error(t, testwait.Receive(t, ended))
	assert.Contains(t, c.log.String(), "refusals that were counted are not recorded")
}

func TestStoppingIsBounded(t *testing.T) {
	slow := blocking{make(chan struct{})}
	c := startCore(t, func(config *coreserver.Config) {
		config.Authenticator, config.Grace = slow, 20*time.Millisecond
	})
	client, ended := c.agent(), make(chan error, 1)
	go func() {
		_, err := client.GetVariables(bearing(within(t), "t"), &agentv1.GetVariablesRequest{})
		ended <- err
	}()
	testwait.Closed(t, slow.entered)
	require.NoError(t, c.stop())
	assert.Equal(t, codes.Unavailable, status.Code(testwait.Receive(t, ended)))
}
