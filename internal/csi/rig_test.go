package csi

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/fetch"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Values that must be seen in files, and nowhere else.
const (
	warehousePassword = "needle-password-7c1f"
	regionValue       = "needle-region-90ab"
	podToken          = "needle-pod-token-33e2"
	cloudToken        = "needle-cloud-token-51d8"
	taskToken         = "needle-task-token-f00d"
)

const volumeSize = 1 << 20

// ginkgoInterrupts is a goroutine that csi-sanity's test runner never ends.
const ginkgoInterrupts = "github.com/onsi/ginkgo/v2/internal/interrupt_handler.(*InterruptHandler).registerForInterrupts.func2"

// rig is the whole driver on a socket, with real volumes and a provider in memory.
type rig struct {
	server   Server
	provider *providertest.Fake
	node     csi.NodeClient
	conn     *grpc.ClientConn
	logs     *logs
	// directory stands for kubelet's.
	directory string
	// stop ends the driver and returns what Serve returned.
	stop func() error
	// budget is the memory of the deliverer; nil for as much as there is.
	budget *budget.Budget
}

// newRig starts a driver, after what adjust does to it.
func newRig(t *testing.T, adjust ...func(*rig)) *rig {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before, goleak.IgnoreTopFunction(ginkgoInterrupts)) })
	r := &rig{provider: newProvider(), logs: &logs{}, directory: testport.SocketDir(t)}
	logger := slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.server = Server{
		Endpoint: filepath.Join(r.directory, "csi.sock"),
		Grace:    5 * time.Second,
		Driver: Config{
			NodeID:    "node-1",
			Providers: func(context.Context) ([]string, error) { return []string{CoreProvider, "file"}, nil },
			Logger:    logger,
		},
	}
	r.server.Driver.Deliverer = r.newDeliverer()
	for _, change := range adjust {
		change(r)
	}
	r.start(t)
	return r
}

// newDeliverer is one that remembers nothing, as after a restart.
func (r *rig) newDeliverer() *deliver.Deliverer {
	readers := report.Readers{Log: r.server.Driver.Logger}
	return deliver.New(deliver.Config{
		Fetcher: fetch.New(fetch.Config{
			Providers:    map[string]provider.Provider{CoreProvider: r.provider},
			FetchTimeout: 5 * time.Second,
			Readers:      readers,
		}),
		Budget:     r.budget,
		VolumeSize: volumeSize,
		PollEvery:  time.Minute,
		Readers:    readers,
	})
}

// start serves until the test ends or calls stop.
func (r *rig) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return testwait.Receive(t, ended)
	})
	t.Cleanup(func() { assert.NoError(t, r.stop()) })
	r.conn = dial(t, r.server.Endpoint)
	r.node = csi.NewNodeClient(r.conn)
}

// dial waits for the socket to answer.
func dial(t *testing.T, path string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)), grpc.WithUnaryInterceptor(endAtTheLimit),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: testwait.Limit, // or the back-off is the time that a connect may take
			Backoff:           backoff.Config{BaseDelay: time.Millisecond, MaxDelay: 50 * time.Millisecond, Multiplier: 2},
		}))
	conn, err := grpc.NewClient("unix:"+path, options...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func endAtTheLimit(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, testwait.Limit)
	defer cancel()
	return invoke(ctx, method, request, reply, conn, options...)
}

func newProvider() *providertest.Fake {
	fake := providertest.NewFake()
	password := secret.New(warehousePassword)
	host := "db.example.com"
	fake.SetConnection(airflow.Connection{ID: "warehouse", Type: "postgres", Host: &host, Password: &password})
	fake.SetVariable("region", regionValue)
	return fake
}

// publishRequest is a valid request, as kubelet makes it for a pod.
func (r *rig) publishRequest(volumeID string) *csi.NodePublishVolumeRequest {
	return &csi.NodePublishVolumeRequest{
		VolumeId:         volumeID,
		TargetPath:       r.target(volumeID),
		Readonly:         true,
		VolumeCapability: mountCapability(),
		Secrets:          map[string]string{tokensKey: tokensJSON(time.Now().Add(time.Hour))},
		VolumeContext:    volumeContext(map[string]string{"connections": "warehouse", "variables": "region"}),
	}
}

// volumeContext is attributes with what kubelet adds.
func volumeContext(attributes map[string]string) map[string]string {
	added := map[string]string{
		podNameKey:        "task-1",
		podNamespaceKey:   "airflow",
		podUIDKey:         "8d6f0f0e-0000-4000-8000-000000000001",
		serviceAccountKey: "worker",
		ephemeralKey:      "true",
	}
	maps.Copy(added, attributes)
	return added
}

func mountCapability() *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
	}
}

// tokensJSON is what kubelet sends for two audiences.
func tokensJSON(expires time.Time) string {
	token := func(text string) map[string]any {
		return map[string]any{"token": text, "expirationTimestamp": expires.UTC().Format(time.RFC3339)}
	}
	text, err := json.Marshal(map[string]any{CoreAudience: token(podToken), "sts.amazonaws.com": token(cloudToken)})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (r *rig) target(volumeID string) string {
	return filepath.Join(r.directory, "pods", volumeID, "mount")
}

func (r *rig) publish(t *testing.T, request *csi.NodePublishVolumeRequest) error {
	t.Helper()
	// Kubelet makes the target's parent, and nothing else.
	if parent := filepath.Dir(request.GetTargetPath()); filepath.IsAbs(parent) {
		require.NoError(t, os.MkdirAll(parent, 0o750))
	}
	t.Cleanup(func() { r.unpublishQuietly(request) })
	_, err := r.node.NodePublishVolume(t.Context(), request)
	return err
}

// unpublishQuietly leaves no mount behind whatever the test did.
func (r *rig) unpublishQuietly(request *csi.NodePublishVolumeRequest) {
	_ = r.server.Driver.Deliverer.Unpublish(context.Background(), request.GetVolumeId(), request.GetTargetPath())
}

func (r *rig) unpublish(t *testing.T, volumeID, target string) error {
	t.Helper()
	_, err := r.node.NodeUnpublishVolume(t.Context(), &csi.NodeUnpublishVolumeRequest{VolumeId: volumeID, TargetPath: target})
	return err
}

// publishGood publishes a valid volume and returns a check that its files are as they
// should be.
func (r *rig) publishGood(t *testing.T, volumeID string) (stillGood func()) {
	t.Helper()
	require.NoError(t, r.publish(t, r.publishRequest(volumeID)))
	target := r.target(volumeID)
	stillGood = func() {
		t.Helper()
		assert.Equal(t, "postgres://:"+warehousePassword+"@db.example.com", readFile(t, target, "connections/warehouse"))
		assert.Equal(t, regionValue, readFile(t, target, "variables/region"))
	}
	stillGood()
	return stillGood
}

func readFile(t *testing.T, elements ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(elements...))
	require.NoError(t, err)
	return string(content)
}

// logs is what is logged, a line of JSON each.
type logs struct{ testwait.Output }

// lines are the calls logged for a method.
func (l *logs) lines(t *testing.T, method string) []map[string]any {
	t.Helper()
	var found []map[string]any
	decoder := json.NewDecoder(bytes.NewReader([]byte(l.String())))
	for decoder.More() {
		var line map[string]any
		require.NoError(t, decoder.Decode(&line))
		if line["method"] == method {
			found = append(found, line)
		}
	}
	return found
}
