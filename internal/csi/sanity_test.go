package csi

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

// skippedInSanity is every spec of the identity and node groups that may be skipped,
// and why: they test what no node-only driver has.
var skippedInSanity = []string{
	// Staging is for volumes that many pods of a node share.
	"Node Service NodeStageVolume should fail when no volume id is provided",
	"Node Service NodeStageVolume should fail when no staging target path is provided",
	"Node Service NodeStageVolume should fail when no volume capability is provided",
	"Node Service NodeUnstageVolume should fail when no volume id is provided",
	"Node Service NodeUnstageVolume should fail when no staging target path is provided",
	// Expansion is for volumes that have a claimed size.
	"Node Service NodeExpandVolume should fail when no volume id is provided",
	"Node Service NodeExpandVolume should fail when no volume path is provided",
	"Node Service NodeExpandVolume should fail when volume is not found",
	"Node Service NodeExpandVolume should work if node-expand is called after node-publish",
}

// ranInSanity is how many specs of the two groups must pass.
const ranInSanity = 21

// TestSanity runs the CSI conformance suite's identity and node groups against the
// driver, on real mounts.
func TestSanity(t *testing.T) {
	r := newRig(t)
	config := sanity.NewTestConfig()
	config.Address = r.server.Endpoint
	config.ControllerAddress = serveController(t, r.directory)
	config.DialOptions = []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(asKubeletCalls),
	}
	config.ControllerDialOptions = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	config.TargetPath = filepath.Join(r.directory, "sanity-target")
	config.StagingPath = filepath.Join(r.directory, "sanity-staging")
	require.Equal(t, 10, config.IdempotentCount, "the suite's default")

	var report types.Report
	ginkgo.ReportAfterSuite("keep the report", func(full types.Report) { report = full })
	gomega.RegisterFailHandler(ginkgo.Fail)
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.FocusStrings = []string{"Identity Service", "Node Service"}
	suite.Timeout, reporter.Succinct = testwait.Limit, true
	specs := sanity.GinkgoTest(&config)
	assert.True(t, ginkgo.RunSpecs(t, "csi-sanity", suite, reporter))
	specs.Finalize()

	ran, skipped := 0, []string{}
	for _, spec := range report.SpecReports {
		group := strings.Join(spec.ContainerHierarchyTexts, " ")
		switch {
		case !strings.HasPrefix(group, "Identity Service") && !strings.HasPrefix(group, "Node Service"):
		case spec.State == types.SpecStatePassed:
			ran++
		default:
			skipped = append(skipped, spec.FullText())
		}
	}
	assert.ElementsMatch(t, skippedInSanity, skipped)
	assert.Equal(t, ranInSanity, ran)
}

// asKubeletCalls makes sanity's calls what kubelet's would be for an inline volume:
// read-only always. Sanity also has to be told that volumes can be made, which is for
// the controller of this test to answer and not for the driver.
func asKubeletCalls(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	if publish, ok := request.(*csi.NodePublishVolumeRequest); ok {
		publish.Readonly = true
	}
	err := invoke(ctx, method, request, reply, conn, options...)
	if capabilities, ok := reply.(*csi.GetPluginCapabilitiesResponse); ok && err == nil {
		capabilities.Capabilities = append(capabilities.Capabilities, controllerService())
	}
	return err
}

func controllerService() *csi.PluginCapability {
	return &csi.PluginCapability{Type: &csi.PluginCapability_Service_{
		Service: &csi.PluginCapability_Service{Type: csi.PluginCapability_Service_CONTROLLER_SERVICE},
	}}
}

// controller stands for the API server, which knows the pod, and for kubelet, which
// knows its tokens: what it "creates" is a volume context.
type controller struct {
	csi.UnimplementedControllerServer
	identity
	mu    sync.Mutex
	count int
}

func serveController(t *testing.T, directory string) string {
	t.Helper()
	path := filepath.Join(directory, "controller.sock")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	require.NoError(t, err)
	server := grpc.NewServer()
	service := &controller{}
	csi.RegisterControllerServer(server, service)
	csi.RegisterIdentityServer(server, service)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		assert.NoError(t, testwait.Receive(t, ended))
	})
	return path
}

func (*controller) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{controllerService()}}, nil
}

func (*controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	return &csi.ControllerGetCapabilitiesResponse{Capabilities: []*csi.ControllerServiceCapability{{
		Type: &csi.ControllerServiceCapability_Rpc{
			Rpc: &csi.ControllerServiceCapability_RPC{Type: csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME},
		},
	}}}, nil
}

func (c *controller) CreateVolume(_ context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if request.GetName() == "" {
		return nil, status.Error(codes.InvalidArgument, "name is missing")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId: fmt.Sprintf("csi-%03d", c.count),
		VolumeContext: volumeContext(map[string]string{
			"connections": "warehouse",
			"variables":   "region",
			tokensKey:     tokensJSON(time.Now().Add(time.Hour)),
		}),
	}}, nil
}

func (*controller) DeleteVolume(context.Context, *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	return &csi.DeleteVolumeResponse{}, nil
}
