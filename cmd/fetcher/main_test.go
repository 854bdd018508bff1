package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/cli"
	"github.com/leoflow/secrets-csi/internal/csi"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam/wire"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/internal/unixsocket"
	"github.com/leoflow/secrets-csi/pkg/mount/mounttest"
	"github.com/leoflow/secrets-csi/test/stack"
)

func TestMain(m *testing.M) { os.Exit(mounttest.Run(m)) }

func TestMisuse(t *testing.T) {
	valid := []string{"--node-id=n", "--core-address=core:9443"}
	for _, row := range []struct {
		name, flag, message string
	}{
		{"relative socket", "--fetcher-socket=s", `--fetcher-socket "s" is not an absolute path`},
		{"a flag of the driver's", "--max-ids=1", "--max-ids is not a flag; 'fetcher --help' lists the flags"},
		{"no source", "--core-address=", "there is nowhere to fetch from: give --core-address, --kubernetes-secrets, the kwargs of a store, or --file-connections for development"},
		{"a URL of core", "--core-address=https://core:9443", `--core-address "https://core:9443" is not host:port; it is a gRPC address without a scheme, such as core.example.com:7443`},
		{"a URL of core without a port", "--core-address=http://core", `--core-address "http://core" is not host:port; it is a gRPC address without a scheme, such as core.example.com:7443`},
		{"no time to fetch", "--fetch-timeout=0s", "--fetch-timeout must be above 0, and 9m0s at most"},
		{"more than a driver takes", "--fetch-timeout=10m", "--fetch-timeout must be above 0, and 9m0s at most"},
		{"polling too often", "--poll-every=1ms", "--poll-every must be 1s at least"},
		{"profiles for all", "--pprof-address=:6060", `--pprof-address ":6060" is not a loopback address; profiles are for nobody else`},
		{"profiles by name", "--pprof-address=localhost:6060", `--pprof-address "localhost:6060" is not a loopback address; profiles are for nobody else`},
		{"cloud in the clear", "--aws-endpoint=http://aws:4566", `--aws-endpoint "http://aws:4566" is not an https URL, and pods' tokens go there`},
		{"a store by somebody else's token", `--source-vault-kwargs={"url": "http://v", "token": "n33dle"}`,
			`--source-vault-kwargs: url must be an https URL such as https://vault.example.com:8200, and pods' tokens go there; ` +
				`auth_type cannot be used here: every pod logs in by its own token, so write "auth_type": "kubernetes" and "kubernetes_role", or "jwt" and "jwt_role"; ` +
				`token cannot be used here: every pod logs in by its own token, so write "auth_type": "kubernetes" and "kubernetes_role", or "jwt" and "jwt_role"`},
		{"a store's file that is not there", "--source-vault-kwargs=@/none", "reading --source-vault-kwargs: open /none: no such file or directory"},
		{"names of Secrets that nobody reads", "--kubernetes-variable-name={id}", "--source-kubernetes-kwargs, --kubernetes-connection-name and --kubernetes-variable-name need --kubernetes-secrets"},
		{"a name without an id", "--kubernetes-variable-name=var", `--source-kubernetes-kwargs, --kubernetes-connection-name and --kubernetes-variable-name need --kubernetes-secrets` + "\n" +
			`--kubernetes-variable-name: "var" is no template of a Secret's name; write {id} once, and beside it lower-case letters, digits, "." and "-"`},
		{"no region", "--aws-region=s3", `--aws-region "s3" is not a region; write one such as eu-west-1`},
		{"log format", "--log-format=xml", "--log-format=xml: want text or json"},
		{"log level", "--log-level=loud", "--log-level=loud: want debug, info, warn or error"},
		{"misspelt", "--nodeid=n", "--nodeid is not a flag (did you mean --node-id?); 'fetcher --help' lists the flags"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out bytes.Buffer
			code := program().Execute(t.Context(), append(valid, row.flag), cli.Streams{Out: &out, Err: &out})
			assert.Equal(t, cli.Misuse, code)
			assert.Equal(t, "fetcher: "+row.message+"\n", out.String())
		})
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	var out bytes.Buffer
	assert.Equal(t, cli.Misuse, program().Execute(t.Context(), []string{"--core-ca=x", "--log-level=loud"}, cli.Streams{Err: &out}))
	assert.Len(t, strings.Split(strings.TrimSpace(out.String()), "\n"), 3)
}

func TestStartFailsWhereItCannotServe(t *testing.T) {
	directory := testport.SocketDir(t)
	taken := filepath.Join(directory, "file")
	require.NoError(t, os.WriteFile(taken, nil, 0o600))
	for _, row := range []struct {
		name, flag, message string
	}{
		{"no such CA", "--core-ca=" + filepath.Join(directory, "none"), "configuring core's client: "},
		{"certificate without its key", "--core-cert=" + taken, "a client certificate needs its key: give both files or neither"},
		{"plaintext to elsewhere", "--core-plaintext-loopback", "plaintext is for loopback addresses only"},
		{"no such address for probes", "--health-address=nowhere", "--health-address: listen tcp: address nowhere: missing port in address"},
		{"no such file", "--file-connections=" + filepath.Join(directory, "none"), "configuring the file source: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out bytes.Buffer
			args := []string{"--fetcher-socket=" + filepath.Join(directory, "fetcher.sock"), "--core-address=core.example.com:9443", row.flag}
			assert.Equal(t, cli.Failure, program().Execute(t.Context(), args, cli.Streams{Err: &out}))
			assert.Contains(t, out.String(), row.message)
		})
	}
}

// TestAStartThatFailsLeavesNothingBehind has the second of two addresses taken.
func TestAStartThatFailsLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	directory := testport.SocketDir(t)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, taken.Close()) }()
	health := freeAddress(t)
	var out bytes.Buffer
	code := program().Execute(t.Context(), []string{
		"--fetcher-socket=" + filepath.Join(directory, "fetcher.sock"), "--core-address=127.0.0.1:1", "--core-plaintext-loopback",
		"--health-address=" + health, "--pprof-address=" + taken.Addr().String(),
	}, cli.Streams{Err: &out})
	assert.Equal(t, cli.Failure, code)
	assert.Contains(t, out.String(), "--pprof-address: listen tcp")
	assert.NotContains(t, out.String(), "cannot reach the driver", "nothing had begun")
	goleak.VerifyNone(t, before)
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", health)
	require.NoError(t, err, "it was given back")
	require.NoError(t, free.Close())
}

// booted is the whole program on temporary paths, and a kubelet that calls it.
type booted struct {
	directory string
	kubelet   *stack.Kubelet
	out       *testwait.Output
	stop      func() int
	// notReady is what the driver says of why it is not.
	notReady string
}

func boot(t *testing.T, flags ...string) booted {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	b := booted{directory: testport.SocketDir(t), out: new(testwait.Output), notReady: "kubelet has not registered the driver yet"}
	socket := filepath.Join(b.directory, "csi.sock")
	seam := filepath.Join(b.directory, "fetcher.sock")
	b.beDriver(t, seam, socket)
	args := append([]string{"--fetcher-socket=" + seam, "--log-level=debug"}, flags...)
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- program().Execute(ctx, args, cli.Streams{Out: b.out, Err: b.out}) }()
	b.stop = sync.OnceValue(func() int {
		cancel()
		return testwait.Receive(t, code)
	})
	t.Cleanup(func() { assert.Equal(t, cli.OK, b.stop(), b.out) })
	b.out.Await(t, "the fetcher is there")
	var err error
	b.kubelet, err = stack.DialKubelet(socket, filepath.Join(b.directory, "pods"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.kubelet.Close()) })
	return b
}

// beDriver stands for the driver, until the test has ended.
func (b booted) beDriver(t *testing.T, seam, socket string) {
	t.Helper()
	log := slog.New(slog.NewJSONHandler(b.out, nil))
	reports := &wire.Reports{}
	readers := report.Readers{Log: log, Observer: reports, Recorder: reports}
	driver := wire.NewDriver(wire.DriverConfig{Fetcher: uint32(os.Geteuid()), Readers: readers})
	deliverer := deliver.New(deliver.Config{Fetcher: driver, VolumeSize: 1 << 20, PollEvery: time.Hour, Readers: readers})
	server := &csi.Server{Endpoint: socket, Driver: csi.Config{
		NodeID: "node", Deliverer: deliverer, Logger: log, Observer: reports,
		Providers: func(context.Context) ([]string, error) { return driver.Sources(), nil },
	}}
	state := func() []byte {
		node := report.Node{NotReady: b.notReady}
		for _, name := range driver.Sources() {
			node.Sources = append(node.Sources, report.StateOf(name, deliverer.Census(), time.Now()))
		}
		encoded, err := json.Marshal(node)
		assert.NoError(t, err)
		return encoded
	}
	listener, err := unixsocket.Listen(t.Context(), seam, os.Geteuid())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var group errgroup.Group
	group.Go(func() error { return driver.Serve(ctx, listener) })
	group.Go(func() error { driver.Report(ctx, reports, state); return nil })
	group.Go(func() error { return server.Serve(ctx) })
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, group.Wait())
	})
	b.out.Await(t, `"msg":"serving"`)
}

// pod asks for the connection "warehouse".
func pod() stack.Pod {
	return stack.Pod{
		Name: "task", Namespace: "airflow", ServiceAccount: "worker", UID: "uid", Token: "needle-token",
		Attributes: map[string]string{"connections": "warehouse"},
	}
}

func TestTheProgramServesADriver(t *testing.T) {
	connections := filepath.Join(t.TempDir(), "connections.json")
	require.NoError(t, os.WriteFile(connections, []byte(`{"warehouse": "postgres://u:needle-password@h/d"}`), 0o600))
	b := boot(t, "--file-connections="+connections)
	require.NoError(t, b.kubelet.Publish(t.Context(), pod()))
	target := b.kubelet.Target(pod())
	content, err := os.ReadFile(filepath.Join(target, "connections", "warehouse"))
	require.NoError(t, err)
	assert.Equal(t, "postgres://u:needle-password@h/d", string(content))
	require.NoError(t, b.kubelet.Unpublish(t.Context(), pod()))
	assert.NoDirExists(t, target)
	assert.Equal(t, cli.OK, b.stop())
	assert.NotContains(t, b.out.String(), "needle")
}

func TestMemoryIsPrivate(t *testing.T) {
	boot(t, "--core-address=127.0.0.1:1", "--core-plaintext-loopback")
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_CORE, &limit))
	assert.Zero(t, limit.Cur+limit.Max)
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	require.NoError(t, err)
	assert.Zero(t, dumpable)
}

// What a user reads on the pod when core is not what it should be. Every way for core
// to fail is a row in internal/source/core; these are those of one for each code.
func TestKubeletIsToldWhatIsWrongWithCore(t *testing.T) {
	for _, row := range []struct {
		name    string
		flags   func(t *testing.T) []string
		code    codes.Code
		message string
	}{
		{"down", func(*testing.T) []string { return []string{"--core-address=127.0.0.1:1", "--core-plaintext-loopback"} },
			codes.Unavailable, `core cannot be asked now: asking core at ADDRESS: unavailable: core cannot be reached: "dial tcp ADDRESS: connect: connection refused"`},
		{"a stranger", func(t *testing.T) []string {
			core := overTLS(t, func(http.ResponseWriter, *http.Request) {})
			return []string{"--core-address=" + core.Listener.Addr().String()}
		}, codes.Unavailable, `core cannot be asked now: asking core at ADDRESS: unavailable: core's certificate is signed by a stranger: check --core-ca`},
		{"slow", func(t *testing.T) []string {
			return append(trusted(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), "--fetch-timeout=100ms")
		}, codes.Unavailable, `core cannot be asked now: asking core at ADDRESS: unavailable: core did not answer in time`},
		{"garbage", func(t *testing.T) []string { return trusted(t, grpcAnswer(4, []byte{0xff, 0xff, 0xff, 0xff})) },
			codes.Internal, `fetching from core: asking core at ADDRESS: protocol violated: core answered what it must not: "grpc: failed to unmarshal the received message: proto: cannot parse invalid wire-format data" (Internal)`},
		{"64 MiB", func(t *testing.T) []string { return trusted(t, grpcAnswer(64<<20, make([]byte, 1<<16))) },
			codes.ResourceExhausted, `fetching from core: asking core at ADDRESS: larger than a message may be: this node accepts 8388608 bytes, and core may send less: ask for fewer entries`},
		{"half a stream", func(t *testing.T) []string { return trusted(t, grpcAnswer(100, []byte("half"))) },
			codes.Internal, `fetching from core: asking core at ADDRESS: protocol violated: core answered what it must not: "unexpected EOF" (Internal)`},
	} {
		t.Run(row.name, func(t *testing.T) {
			flags := row.flags(t)
			b := boot(t, flags...)
			err := b.kubelet.Publish(t.Context(), pod())
			message := strings.ReplaceAll(status.Convert(err).Message(), strings.TrimPrefix(flags[0], "--core-address="), "ADDRESS")
			assert.Equal(t, row.code.String(), status.Code(err).String())
			assert.Equal(t, row.message, message)
			assert.NoDirExists(t, b.kubelet.Target(pod()))
			assert.NotContains(t, b.out.String(), "needle")
		})
	}
}

// overTLS is an HTTP/2 server with a certificate of its own.
func overTLS(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(answer)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func trusted(t *testing.T, answer http.HandlerFunc) (flags []string) {
	t.Helper()
	server := overTLS(t, answer)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return []string{"--core-address=" + server.Listener.Addr().String(), "--core-ca=" + ca}
}

// grpcAnswer announces a message of size bytes, sends body and ends.
func grpcAnswer(size uint32, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		_, _ = fmt.Fprintf(w, "\x00%c%c%c%c%s", size>>24, byte(size>>16), byte(size>>8), byte(size), body)
	}
}
