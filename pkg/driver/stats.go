package driver

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/pkg/delivery"
)

func (n *node) NodeGetVolumeStats(_ context.Context, request *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	switch {
	case request.GetVolumeId() == "":
		return nil, invalidf("volume_id is missing")
	case request.GetVolumePath() == "":
		return nil, invalidf("volume_path is missing")
	}
	usage, err := n.Deliverer.Stats(request.GetVolumePath())
	if err != nil {
		return nil, statusOf(err)
	}
	bytes, inodes := usage.Bytes, usage.Inodes
	response := &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{Unit: csi.VolumeUsage_BYTES, Total: bytes.Total, Used: bytes.Used, Available: bytes.Available},
		{Unit: csi.VolumeUsage_INODES, Total: inodes.Total, Used: inodes.Used, Available: inodes.Available},
	}}
	health, _ := n.Deliverer.Health(request.GetVolumeId())
	setCondition(response, health.Problem)
	return response, nil
}

func (n *node) NodeGetVolumeHealth(_ context.Context, request *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	if request.GetVolumeId() == "" {
		return nil, invalidf("volume_id is missing")
	}
	health, known := n.Deliverer.Health(request.GetVolumeId())
	if !known {
		return nil, status.Errorf(codes.NotFound, "volume %q is not published on this node", shorten(request.GetVolumeId()))
	}
	response := &csi.VolumeHealth{VolumeId: request.GetVolumeId()}
	if health.Problem != "" {
		response.HealthStatuses = append(response.HealthStatuses, healthEntry(health))
	}
	return &csi.NodeGetVolumeHealthResponse{VolumeHealth: response}, nil
}

func healthEntry(health delivery.Health) *csi.VolumeHealth_VolumeHealthEntry {
	if health.Generation == 0 {
		return &csi.VolumeHealth_VolumeHealthEntry{
			Status: csi.VolumeHealthErrorType_INACCESSIBLE, Reason: "NotDelivered", Message: health.Problem,
		}
	}
	return &csi.VolumeHealth_VolumeHealthEntry{
		Status: csi.VolumeHealthErrorType_DEGRADED, Reason: "NotRefreshed", Message: health.Problem,
	}
}
