package csi

import (
	"context"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/excerpt"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// Keys of the volume context that kubelet adds where the CSIDriver object says
// podInfoOnMount: true.
const (
	podNameKey        = "csi.storage.k8s.io/pod.name"
	podNamespaceKey   = "csi.storage.k8s.io/pod.namespace"
	podUIDKey         = "csi.storage.k8s.io/pod.uid"
	serviceAccountKey = "csi.storage.k8s.io/serviceAccount.name"
	ephemeralKey      = "csi.storage.k8s.io/ephemeral"
)

// maxVolumeID is CSI's limit on strings.
const maxVolumeID = 128

// node serves the calls that kubelet makes for one node's volumes.
type node struct {
	csi.UnimplementedNodeServer
	Config
}

func (n *node) NodePublishVolume(ctx context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := checkPublish(request); err != nil {
		return nil, err
	}
	isPublished := n.Deliverer.IsPublished(request.GetVolumeId(), request.GetTargetPath())
	if isPublished { // kubelet asks again every minute; where it leads to new files, the delivery has a line
		isRoutine(ctx)
	}
	err := n.publish(ctx, request, !isPublished)
	if err != nil && n.Deliverer.IsPublished(request.GetVolumeId(), request.GetTargetPath()) {
		// A failed republish breaks a running pod for good on kubelets before 1.37
		// (kubernetes issue 121271), and its files are as good as they were.
		noteOn(ctx, "kept the live volume as it is: "+status.Convert(err).Message())
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (n *node) publish(ctx context.Context, request *csi.NodePublishVolumeRequest, isNew bool) error {
	volume, err := n.volume(ctx, request)
	if err == nil && isNew { // a pod that runs keeps what it was given, and its token has to be taken in
		err = n.checkCount(volume)
	}
	if err != nil {
		return err
	}
	return statusAt(volume.TargetPath, n.Deliverer.Publish(ctx, volume))
}

func (n *node) checkCount(volume deliver.Volume) error {
	if ids := volume.IDs(); n.MaxIDs > 0 && ids > n.MaxIDs {
		return invalidf("volumes[].csi.volumeAttributes: %d ids are listed, and this node lets a volume list %d; "+
			"ask for what the task uses, or have --max-ids raised", ids, n.MaxIDs)
	}
	return nil
}

// checkPublish holds every rule about the request itself; those about what the user
// wrote in volumeAttributes are in parseAttributes.
func checkPublish(request *csi.NodePublishVolumeRequest) error {
	capability, attributes := request.GetVolumeCapability(), request.GetVolumeContext()
	switch {
	case request.GetVolumeId() == "":
		return invalidf("volume_id is missing")
	case len(request.GetVolumeId()) > maxVolumeID:
		return invalidf("volume_id has %d bytes; CSI allows %d", len(request.GetVolumeId()), maxVolumeID)
	case request.GetTargetPath() == "":
		return invalidf("target_path is missing")
	case !isCleanPath(request.GetTargetPath()):
		return invalidf("target_path is not an absolute, clean path")
	case capability == nil:
		return invalidf("volume_capability is missing")
	case capability.GetBlock() != nil:
		return invalidf("volume_capability is block, and secrets are files: use volumeMounts, not volumeDevices")
	case capability.GetMount() == nil:
		return invalidf("volume_capability has no access_type; only mount is served")
	case len(capability.GetMount().GetMountFlags()) > 0:
		return invalidf("mount flags cannot be chosen; leave mountOptions out")
	case attributes[podNameKey] == "" || attributes[podNamespaceKey] == "" || attributes[podUIDKey] == "" || attributes[serviceAccountKey] == "":
		return invalidf("kubelet did not say which pod this is for: set podInfoOnMount: true on CSIDriver %s", Name)
	case attributes[ephemeralKey] != "true":
		return invalidf("only inline volumes are served: write the volume under volumes[].csi of the pod, not as a PersistentVolume")
	}
	return checkWritten(capability.GetMount().GetFsType(), request.GetReadonly())
}

// checkWritten is about what the author wrote beside the attributes.
func checkWritten(fsType string, readOnly bool) error {
	switch {
	case fsType != "" && fsType != "tmpfs":
		return invalidf("volumes[].csi.fsType: %q cannot be had, secrets live on tmpfs only; leave the field out", excerpt.Of(fsType))
	case !readOnly:
		return invalidf("volumes[].csi.readOnly: must be true; a pod cannot write to its secrets")
	}
	return nil
}

// volume is the request as delivery understands it.
func (n *node) volume(ctx context.Context, request *csi.NodePublishVolumeRequest) (deliver.Volume, error) {
	attributes := request.GetVolumeContext()
	providers, err := n.Providers(ctx)
	if err != nil {
		return deliver.Volume{}, status.Error(codes.Unavailable, err.Error())
	}
	volume, err := parseAttributes(attributes, providers)
	if err != nil {
		return deliver.Volume{}, err
	}
	volume.ID = request.GetVolumeId()
	volume.TargetPath = request.GetTargetPath()
	if volume.Group, err = parseGroup(request.GetVolumeCapability().GetMount().GetVolumeMountGroup()); err != nil {
		return deliver.Volume{}, err
	}
	tokens, err := n.readTokens(request.GetSecrets(), attributes, volume.Asks(CoreProvider))
	if err != nil {
		return deliver.Volume{}, err
	}
	volume.Pod = call.Identity{
		Namespace:      attributes[podNamespaceKey],
		ServiceAccount: attributes[serviceAccountKey],
		PodName:        attributes[podNameKey],
		PodUID:         attributes[podUIDKey],
		Token:          tokens.core,
		TaskToken:      tokens.given,
		CloudTokens:    tokens.cloud,
	}
	return volume, nil
}

func (n *node) NodeUnpublishVolume(ctx context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	switch {
	case request.GetVolumeId() == "":
		return nil, invalidf("volume_id is missing")
	case request.GetTargetPath() == "":
		return nil, invalidf("target_path is missing")
	case !isCleanPath(request.GetTargetPath()):
		return nil, invalidf("target_path is not an absolute, clean path")
	}
	if err := statusAt(request.GetTargetPath(), n.Deliverer.Unpublish(ctx, request.GetVolumeId(), request.GetTargetPath())); err != nil {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func (n *node) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.NodeID}, nil
}

func (*node) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	response := &csi.NodeGetCapabilitiesResponse{}
	for _, capability := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
		csi.NodeServiceCapability_RPC_GET_VOLUME_HEALTH,
		csi.NodeServiceCapability_RPC_GET_STORAGE_HEALTH,
		volumeConditionCapability,
	} {
		response.Capabilities = append(response.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: capability}},
		})
	}
	return response, nil
}

// parseGroup reads the pod's fsGroup, which kubelet sends in decimal; 0 if it has none.
func parseGroup(group string) (uint32, error) {
	if group == "" {
		return 0, nil
	}
	gid, err := strconv.ParseUint(group, 10, 32)
	if err != nil || gid == math.MaxUint32 { // which chown(2) takes for "as it was"
		return 0, invalidf("volume_mount_group %q is not a group id; it comes from spec.securityContext.fsGroup", excerpt.Of(group))
	}
	return uint32(gid), nil
}

func isCleanPath(path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path && path != "/" && !strings.ContainsRune(path, 0)
}
