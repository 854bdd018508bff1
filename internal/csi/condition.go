package csi

import (
	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/encoding/protowire"
)

// CSI 1.13 took the volume condition out of the protocol in favour of
// NodeGetVolumeHealth, and kubelets up to 1.36 know only the former. The two do not
// get in each other's way, so the condition is still sent, by its old numbers:
// capability 4, and in NodeGetVolumeStatsResponse
//
//	VolumeCondition volume_condition = 2;  // bool abnormal = 1; string message = 2;
const (
	volumeConditionCapability csi.NodeServiceCapability_RPC_Type = 4

	conditionField protowire.Number = 2
	abnormalField  protowire.Number = 1
	messageField   protowire.Number = 2
)

// setCondition adds the volume condition to response. No problem is a normal one.
func setCondition(response *csi.NodeGetVolumeStatsResponse, problem string) {
	message := problem
	if message == "" {
		message = "the files are complete"
	}
	var condition []byte
	condition = protowire.AppendTag(condition, abnormalField, protowire.VarintType)
	condition = protowire.AppendVarint(condition, protowire.EncodeBool(problem != ""))
	condition = protowire.AppendTag(condition, messageField, protowire.BytesType)
	condition = protowire.AppendString(condition, message)

	field := protowire.AppendTag(nil, conditionField, protowire.BytesType)
	response.ProtoReflect().SetUnknown(protowire.AppendBytes(field, condition))
}
