package csi

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func (n *node) NodeGetVolumeStats(_ context.Context, request *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	switch {
	case request.GetVolumeId() == "":
		return nil, invalidf("volume_id is missing")
	case request.GetVolumePath() == "":
		return nil, invalidf("volume_path is missing")
	case !isCleanPath(request.GetVolumePath()):
		return nil, status.Errorf(codes.NotFound, "no volume can be at volume_path, which is not an absolute, clean path")
	}
	usage, err := n.Deliverer.Stats(request.GetVolumePath())
	if err != nil {
		return nil, statusAt(request.GetVolumePath(), err)
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
