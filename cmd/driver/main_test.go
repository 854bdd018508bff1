package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam/wire"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
	"github.com/leoflow/secrets-csi/test/stack"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

func TestMisuse(t *testing.T) {
	valid := []string{"--node-id=n", "--endpoint=/run/x/csi.sock"}
	for _, row := range []struct {
		name, flag, message string
	}{
		{"no node", "--node-id=", "--node-id is needed; in a pod take it from the field spec.nodeName"},
		{"long node", "--node-id=" + strings.Repeat("n", 254), "--node-id has 254 characters; a node's name has 253 at most"},
		{"relative endpoint", "--endpoint=csi.sock", `--endpoint "csi.sock" is not an absolute path or unix:// URL`},
		{"endpoint that is no socket", "--endpoint=tcp://0.0.0.0:1", `--endpoint "tcp://0.0.0.0:1" is not an absolute path or unix:// URL`},
		{"relative registration", "--registration-dir=reg", `--registration-dir "reg" is not an absolute path`},
		{"kubelet's path alone", "--kubelet-endpoint=/csi.sock", "--kubelet-endpoint is for registering; give --registration-dir too"},
		{"relative path of kubelet's", "--kubelet-endpoint=csi.sock",
			`--kubelet-endpoint "csi.sock" is not an absolute path` + "\n" + `--kubelet-endpoint is for registering; give --registration-dir too`},
		{"no audience", "--core-audience=", "--core-audience must not be empty"},
		{"volume too small", "--volume-size=4Ki", "--volume-size 4Ki is too small; 64Ki is the least"},
		{"size", "--volume-size=4M", `--volume-size: "4M" is not a size; write it like 4Mi; 'driver --help' lists the flags`},
		{"huge size", "--volume-size=99999999999Gi", `--volume-size: "99999999999Gi" is not a size; write it like 4Mi; 'driver --help' lists the flags`},
		{"polling too often", "--poll-every=1ms", "--poll-every must be 1s at least"},
		{"refreshing without a pause", "--min-refresh=1ms", "--min-refresh must be 1s to 1h"},
		{"refreshing hardly ever", "--min-refresh=24h", "--min-refresh must be 1s to 1h"},
		{"volumes of nothing", "--max-ids=0", "--max-ids must be 1 at least"},
		{"negative grace", "--shutdown-grace=-1s", "--shutdown-grace must not be negative"},
		{"relative socket", "--fetcher-socket=s", `--fetcher-socket "s" is not an absolute path`},
		{"no user", "--fetcher-uid=-1", "--fetcher-uid -1 is not a user id"},
		{"profiles on the network", "--pprof-address=127.0.0.1:6060", `--pprof-address "127.0.0.1:6060" is not a unix:// socket, and the driver has no network`},
		{"a flag of the fetcher's", "--core-address=core:9443", "--core-address is not a flag; 'driver --help' lists the flags"},
		{"log format", "--log-format=xml", "--log-format=xml: want text or json"},
		{"log level", "--log-level=loud", "--log-level=loud: want debug, info, warn or error"},
		{"a misspelt command", "doctr", `"doctr" is not a command (did you mean "doctor"?); 'driver --help' lists them`},
		{"misspelt", "--nodeid=n", "--nodeid is not a flag (did you mean --node-id?); 'driver --help' lists the flags"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out bytes.Buffer
			code := program().Execute(t.Context(), append(valid, row.flag), cli.Streams{Out: &out, Err: &out})
			assert.Equal(t, cli.Misuse, code)
			assert.Equal(t, "driver: "+row.message+"\n", out.String())
		})
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	var out bytes.Buffer
	assert.Equal(t, cli.Misuse, program().Execute(t.Context(), []string{"--max-ids=0", "--log-level=loud"}, cli.Streams{Err: &out}))
	assert.Len(t, strings.Split(strings.TrimSpace(out.String()), "\n"), 3)
}

func TestStartFailsWhereItCannotServe(t *testing.T) {
	directory := testport.SocketDir(t)
	taken := filepath.Join(directory, "file")
	require.NoError(t, os.WriteFile(taken, nil, 0o600))
	for _, row := range []struct {
		name, flag, message string
	}{
		{"endpoint is a file", "--endpoint=" + taken, taken + " exists and is not a socket; remove it or choose another path"},
		{"the fetcher's socket is a file", "--fetcher-socket=" + taken, taken + " exists and is not a socket; remove it or choose another path"},
		{"the socket for profiles is a file", "--pprof-address=unix://" + taken, "--pprof-address: " + taken + " exists and is not a socket"},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			var out bytes.Buffer
			args := []string{
				"--node-id=n", "--endpoint=" + filepath.Join(directory, "csi.sock"),
				"--fetcher-socket=" + filepath.Join(directory, "fetcher.sock"), fmt.Sprint("--fetcher-uid=", os.Geteuid()), row.flag,
			}
			assert.Equal(t, cli.Failure, program().Execute(t.Context(), args, cli.Streams{Err: &out}))
			assert.Contains(t, out.String(), row.message)
			goleak.VerifyNone(t, before)
		})
	}
}

// booted is the whole program on temporary paths, and a kubelet that calls it.
type booted struct {
	directory string
	kubelet   *stack.Kubelet
	out       *testwait.Output
	stop      func() int
}

func boot(t *testing.T, flags ...string) booted {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	b := booted{directory: testport.SocketDir(t), out: new(testwait.Output)}
	socket := filepath.Join(b.directory, "csi.sock")
	t.Setenv("LEOFLOW_NODE_ID", "node-from-the-environment")
	seam := filepath.Join(b.directory, "fetcher.sock")
	args := append([]string{
		"--endpoint=unix://" + socket, "--log-level=debug", "--fetcher-socket=" + seam, fmt.Sprint("--fetcher-uid=", os.Geteuid()),
	}, flags...)
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- program().Execute(ctx, args, cli.Streams{Out: b.out, Err: b.out}) }()
	b.stop = sync.OnceValue(func() int {
		cancel()
		return testwait.Receive(t, code)
	})
	t.Cleanup(func() { assert.Equal(t, cli.OK, b.stop(), b.out) })
	b.beFetcher(t, seam)
	b.out.Await(t, `"msg":"serving"`)
	var err error
	b.kubelet, err = stack.DialKubelet(socket, filepath.Join(b.directory, "pods"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.kubelet.Close()) })
	return b
}

// beFetcher stands for the fetcher, until the test has ended.
func (b booted) beFetcher(t *testing.T, socket string) {
	t.Helper()
	fake := providertest.NewFake()
	fake.SetConnection(airflow.Connection{ID: "warehouse", Type: "postgres", Host: new("db"), Login: new("etl"), Password: new(secret.New("needle-password"))})
	readers := report.Readers{Log: slog.New(slog.NewJSONHandler(b.out, nil))}
	fetcher := fetch.New(fetch.Config{Providers: map[string]provider.Provider{"core": fake}, FetchTimeout: time.Minute, Readers: readers})
	server := wire.NewServer(wire.ServerConfig{Socket: socket, Fetcher: fetcher, Readers: readers})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, testwait.Receive(t, ended))
	})
	b.out.Await(t, "the fetcher is there")
}

// pod asks for the connection "warehouse".
func pod() stack.Pod {
	return stack.Pod{
		Name: "task", Namespace: "airflow", ServiceAccount: "worker", UID: "uid", Token: "needle-token",
		Attributes: map[string]string{"connections": "warehouse"},
	}
}

func TestTheProgramServesPods(t *testing.T) {
	registry := filepath.Join(testport.SocketDir(t), "registry")
	b := boot(t, "--registration-dir="+registry)

	info, err := b.kubelet.Node.NodeGetInfo(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, "node-from-the-environment", info.GetNodeId())
	assert.FileExists(t, filepath.Join(registry, "secrets.csi.leoflow.io-reg.sock"))
	require.NoError(t, b.kubelet.Publish(t.Context(), pod()))
	target := b.kubelet.Target(pod())
	content, err := os.ReadFile(filepath.Join(target, "connections", "warehouse"))
	require.NoError(t, err)
	assert.Equal(t, "postgres://etl:needle-password@db", string(content))
	require.NoError(t, b.kubelet.Unpublish(t.Context(), pod()))
	assert.NoDirExists(t, target)

	assert.Equal(t, cli.OK, b.stop())
	assert.NoFileExists(t, filepath.Join(b.directory, "csi.sock"))
	assert.NoFileExists(t, filepath.Join(registry, "secrets.csi.leoflow.io-reg.sock"))
	assert.Contains(t, b.out.String(), `"method":"NodePublishVolume"`)
	assert.NotContains(t, b.out.String(), "needle")
}

func TestMemoryIsPrivate(t *testing.T) {
	boot(t)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_CORE, &limit))
	assert.Zero(t, limit.Cur+limit.Max)
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	require.NoError(t, err)
	assert.Zero(t, dumpable)
}
