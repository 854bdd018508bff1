package csi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/excerpt"
	"github.com/leoflow/secrets-csi/internal/report"
)

func (n *node) NodeGetVolumeHealth(_ context.Context, request *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, invalidf("volume_id is missing")
	}
	health, known := n.Deliverer.Health(request.GetVolumeId())
	if !known {
		return nil, status.Errorf(codes.NotFound, "volume %q is not published on this node", excerpt.Of(request.GetVolumeId()))
	}
	response := &csi.VolumeHealth{VolumeId: request.GetVolumeId()}
	if health.Problem != "" {
		response.HealthStatuses = append(response.HealthStatuses, healthEntry(health))
	}
	return &csi.NodeGetVolumeHealthResponse{VolumeHealth: response}, nil
}

func healthEntry(health report.Health) *csi.VolumeHealth_VolumeHealthEntry {
	if health.Generation == 0 {
		return &csi.VolumeHealth_VolumeHealthEntry{
			Status: csi.VolumeHealthErrorType_INACCESSIBLE, Reason: "NotDelivered", Message: health.Problem,
		}
	}
	return &csi.VolumeHealth_VolumeHealthEntry{
		Status: csi.VolumeHealthErrorType_DEGRADED, Reason: "NotRefreshed", Message: health.Problem,
	}
}

// NodeGetStorageHealth tells of the providers, which are this driver's storage. CSI
// allows one entry for a status and reason, so it names them all in one.
func (n *node) NodeGetStorageHealth(ctx context.Context, _ *csi.NodeGetStorageHealthRequest) (*csi.NodeGetStorageHealthResponse, error) {
	unreachable := n.Deliverer.Unreachable()
	if len(unreachable) == 0 {
		return &csi.NodeGetStorageHealthResponse{}, nil
	}
	var causes []string
	for _, name := range slices.Sorted(maps.Keys(unreachable)) {
		causes = append(causes, name+": "+unreachable[name])
	}
	extent := csi.StorageHealthErrorType_STORAGE_DEGRADED
	if providers, err := n.Providers(ctx); err == nil && len(unreachable) == len(providers) {
		extent = csi.StorageHealthErrorType_STORAGE_UNREACHABLE
	}
	return &csi.NodeGetStorageHealthResponse{BackendHealth: []*csi.NodeGetStorageHealthResponse_StorageBackendHealth{
		{Status: extent, Reason: "SourceUnreachable", Message: strings.Join(causes, "; ")},
	}}, nil
}
