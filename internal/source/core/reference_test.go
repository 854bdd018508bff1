package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/source/core"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const taskKey = "0123456789abcdefghijklmnopqrstuv"

// pods are known by their tokens.
type pods []provider.Identity

func (p pods) Authenticate(_ context.Context, token secret.Text) (auth.Caller, error) {
	for _, pod := range p {
		if pod.Token.Equal(token) {
			return auth.Caller{Namespace: pod.Namespace, ServiceAccount: pod.ServiceAccount, Pod: pod.PodName}, nil
		}
	}
	return auth.Caller{}, fmt.Errorf("%w: nobody has it", auth.ErrRefused)
}

const rules = `rules:
- namespaces: [team]
  serviceAccounts: [reader]
  connections: ["*"]
  variables: [env, blank, absent]
`

// The client and the reference core keep the contract together, over mutual TLS.
func TestClientKeepsTheContractWithTheReferenceCore(t *testing.T) {
	t.Parallel()
	for contract, harness := range map[coreserver.Contract]providertest.Harness{
		coreserver.Both:    {Authenticates: true, Denies: true},
		coreserver.Secrets: {Authenticates: true, Denies: true},
		coreserver.Agent:   {Authenticates: true, Denies: true, Silent: true},
	} {
		t.Run(string(contract), func(t *testing.T) {
			t.Parallel()
			harness.Serve = func(t *testing.T, world providertest.World) providertest.Source {
				return referenceCore(t, contract, world)
			}
			providertest.Run(t, harness)
		})
	}
}

func referenceCore(t *testing.T, contract coreserver.Contract, world providertest.World) providertest.Source {
	authority, dir := newAuthority(t, "core's authority"), t.TempDir()
	pair, node := authority.issue(t, "core"), authority.issue(t, "node")
	config := coreserver.Config{
		Connections: filepath.Join(dir, "connections.json"), Variables: filepath.Join(dir, "variables.json"),
		Rules: filepath.Join(dir, "rules.yaml"), Authenticator: pods{world.Reader, world.Twin}, Audit: io.Discard,
		Cert: pair.certFile, Key: pair.keyFile, ClientCA: authority.file,
		Contract: contract, LegacyURIs: true, Grace: time.Millisecond,
	}
	connections := map[string]json.RawMessage{world.Broken: json.RawMessage(`{"conn_type": "http", "port": 70000}`)}
	for _, connection := range world.Connections {
		connections[connection.ID] = connection.JSON()
	}
	writeJSON(t, config.Connections, connections)
	writeJSON(t, config.Variables, world.Variables)
	require.NoError(t, os.WriteFile(config.Rules, []byte(rules), 0o600))

	address, stop := serveReference(t, config)
	log := new(logged)
	client := newClient(t, core.Config{
		Address: address, CAFile: authority.file, CertFile: node.certFile, KeyFile: node.keyFile, Logger: log.logger(),
	})
	return providertest.Source{
		Provider: client,
		SetVariable: func(key, value string) {
			world.Variables[key] = value
			writeJSON(t, config.Variables, world.Variables)
		},
		Break: stop,
		Log:   log.String,
	}
}

// serveReference runs the reference core until the test ends, or until stop.
func serveReference(t *testing.T, config coreserver.Config) (address string, stop func()) {
	reference, err := coreserver.New(config)
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- reference.Serve(ctx, listener) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, testwait.Receive(t, served))
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// writeJSON replaces the file whole, so that nobody reads half of it.
func writeJSON(t *testing.T, file string, content any) {
	text, err := json.Marshal(content)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file+".new", text, 0o600))
	require.NoError(t, os.Rename(file+".new", file))
}

// A token that ran out says so, in core's words.
func TestFetchSaysThatTheTokenExpired(t *testing.T) {
	authority, dir := newAuthority(t, "core's authority"), t.TempDir()
	pair := authority.issue(t, "core")
	tokens, err := auth.NewTokens(secret.New(taskKey), auth.LongestLife, func() time.Time { return time.Now().Add(-time.Hour) })
	require.NoError(t, err)
	expired, err := tokens.Mint(auth.Caller{Tenant: "acme", DAG: "billing", Run: "1", Task: "load"}, time.Minute)
	require.NoError(t, err)
	current, err := auth.NewTokens(secret.New(taskKey), auth.LongestLife, time.Now)
	require.NoError(t, err)
	config := coreserver.Config{
		Variables: filepath.Join(dir, "variables.json"), Rules: filepath.Join(dir, "rules.yaml"), Authenticator: current,
		Audit: io.Discard, Cert: pair.certFile, Key: pair.keyFile, Grace: time.Millisecond,
	}
	writeJSON(t, config.Variables, map[string]string{"env": "prod"})
	require.NoError(t, os.WriteFile(config.Rules, []byte(rules), 0o600))
	for _, contract := range []coreserver.Contract{coreserver.Secrets, coreserver.Agent} {
		config.Contract = contract
		address, _ := serveReference(t, config)
		stale := pod()
		stale.Token = expired
		_, err := newClient(t, core.Config{Address: address, CAFile: authority.file}).Fetch(t.Context(), stale, oneVariable)
		require.ErrorIs(t, err, provider.ErrUnauthenticated)
		assert.Regexp(t, "unauthenticated: core refused the token: \".*expired 59m.*\", a token for audience leoflow-agent of issuer leoflow$", err.Error())
	}
}
