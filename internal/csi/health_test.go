package csi

import (
	"fmt"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func (r *rig) stats(t *testing.T, volumeID, path string) (*csi.NodeGetVolumeStatsResponse, error) {
	t.Helper()
	return r.node.NodeGetVolumeStats(t.Context(), &csi.NodeGetVolumeStatsRequest{VolumeId: volumeID, VolumePath: path})
}

// breakProvider publishes a volume, takes the provider away and has it asked for another pod.
func breakProvider(t *testing.T, r *rig) {
	t.Helper()
	stillGood := r.publishGood(t, "good")
	r.provider.Fail(fmt.Errorf("asking core at core:9443: %w", provider.ErrUnavailable))
	require.Error(t, r.publish(t, r.publishRequest("waits")))
	stillGood()
}

const unavailableFor = `^core cannot be asked now: asking core at core:9443: unavailable; the files were last confirmed \d+s ago$`

func TestStatsMeasureTheVolume(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "good")
	response, err := r.stats(t, "good", r.target("good"))
	require.NoError(t, err)
	require.Len(t, response.GetUsage(), 2)
	bytes, inodes := response.GetUsage()[0], response.GetUsage()[1]
	assert.Equal(t, csi.VolumeUsage_BYTES, bytes.GetUnit())
	assert.Equal(t, int64(volumeSize), bytes.GetTotal())
	assert.Equal(t, bytes.GetTotal(), bytes.GetUsed()+bytes.GetAvailable())
	assert.Positive(t, bytes.GetUsed())
	assert.Equal(t, csi.VolumeUsage_INODES, inodes.GetUnit())
	assert.Positive(t, inodes.GetUsed())
}

func TestStatsRefusals(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "good")
	for _, row := range []struct {
		name, volumeID, path string
		code                 codes.Code
	}{
		{"no volume id", "", r.target("good"), codes.InvalidArgument},
		{"no path", "good", "", codes.InvalidArgument},
		{"relative path", "good", "some/path", codes.NotFound},
		{"nothing there", "good", r.target("ghost"), codes.NotFound},
		{"not a volume", "good", r.directory, codes.NotFound},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := r.stats(t, row.volumeID, row.path)
			assert.Equal(t, row.code.String(), status.Code(err).String(), err)
		})
	}
}

// Kubelets up to 1.36 read the condition from where CSI 1.12 had it.
func TestStatsCarryTheCondition(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "well")
	response, err := r.stats(t, "well", r.target("well"))
	require.NoError(t, err)
	assert.Equal(t, condition{false, "the files are complete"}, conditionOf(t, response))

	breakProvider(t, r)
	response, err = r.stats(t, "good", r.target("good"))
	require.NoError(t, err)
	assert.True(t, conditionOf(t, response).abnormal)
	assert.Regexp(t, unavailableFor, conditionOf(t, response).message)
}

type condition struct {
	abnormal bool
	message  string
}

// conditionOf reads field 2 of the response as CSI 1.12 defines it.
func conditionOf(t *testing.T, response *csi.NodeGetVolumeStatsResponse) condition {
	t.Helper()
	fields := map[protowire.Number][]byte{}
	unknown := response.ProtoReflect().GetUnknown()
	number, _, size := protowire.ConsumeTag(unknown)
	require.Equal(t, protowire.Number(2), number)
	message, _ := protowire.ConsumeBytes(unknown[size:])
	for len(message) > 0 {
		number, _, size := protowire.ConsumeField(message)
		require.Positive(t, size)
		_, _, tag := protowire.ConsumeTag(message)
		fields[number], message = message[tag:size], message[size:]
	}
	abnormal, _ := protowire.ConsumeVarint(fields[1])
	text, _ := protowire.ConsumeString(fields[2])
	return condition{protowire.DecodeBool(abnormal), text}
}

func TestVolumeHealth(t *testing.T) {
	r := newRig(t)
	health := func(volumeID string) (*csi.VolumeHealth, error) {
		response, err := r.node.NodeGetVolumeHealth(t.Context(), &csi.NodeGetVolumeHealthRequest{VolumeId: volumeID})
		return response.GetVolumeHealth(), err
	}
	_, err := health("ghost")
	assert.Equal(t, codes.NotFound, status.Code(err))

	r.publishGood(t, "good")
	well, err := health("good")
	require.NoError(t, err)
	assert.Equal(t, "good", well.GetVolumeId())
	assert.Empty(t, well.GetHealthStatuses())

	breakProvider(t, r)
	ill, err := health("good")
	require.NoError(t, err)
	require.Len(t, ill.GetHealthStatuses(), 1)
	assert.Equal(t, csi.VolumeHealthErrorType_DEGRADED, ill.GetHealthStatuses()[0].GetStatus())
	assert.Equal(t, "NotRefreshed", ill.GetHealthStatuses()[0].GetReason())
	assert.Regexp(t, unavailableFor, ill.GetHealthStatuses()[0].GetMessage())
}

func TestStorageHealth(t *testing.T) {
	r := newRig(t)
	health := func() []*csi.NodeGetStorageHealthResponse_StorageBackendHealth {
		response, err := r.node.NodeGetStorageHealth(t.Context(), &csi.NodeGetStorageHealthRequest{})
		require.NoError(t, err)
		return response.GetBackendHealth()
	}
	r.publishGood(t, "good")
	assert.Empty(t, health())
	breakProvider(t, r)
	require.Len(t, health(), 1)
	assert.Equal(t, csi.StorageHealthErrorType_STORAGE_DEGRADED, health()[0].GetStatus(), "the other provider is well")
	assert.Equal(t, "core: asking core at core:9443: unavailable", health()[0].GetMessage())

	r.provider.Fail(nil)
	require.Eventually(t, func() bool { return r.publish(t, r.publishRequest("another")) == nil }, testwait.Limit, 10*time.Millisecond,
		"a new pod finds out that the provider is back")
	assert.Empty(t, health())
}
