package csi

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

func TestPublishTwiceAndUnpublishTwice(t *testing.T) {
	r := newRig(t)
	stillGood := r.publishGood(t, "twice")
	require.NoError(t, r.publish(t, r.publishRequest("twice")))
	stillGood()
	for range 2 {
		require.NoError(t, r.unpublish(t, "twice", r.target("twice")))
		assert.NoDirExists(t, r.target("twice"))
	}
}

func TestUnpublishOfWhatNeverWas(t *testing.T) {
	r := newRig(t)
	stillGood := r.publishGood(t, "good")
	require.NoError(t, r.unpublish(t, "ghost", r.target("ghost")))
	stillGood()
}

func TestUnpublishRefusesBadRequests(t *testing.T) {
	r := newRig(t)
	stillGood := r.publishGood(t, "good")
	for _, row := range []struct{ name, volumeID, target, message string }{
		{"no volume id", "", r.target("good"), "volume_id is missing"},
		{"no target path", "good", "", "target_path is missing"},
		{"relative target path", "good", "mount", `target_path is not an absolute, clean path`},
		{"the whole system", "good", "/", `target_path is not an absolute, clean path`},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := r.unpublish(t, row.volumeID, row.target)
			assert.Equal(t, codes.InvalidArgument.String(), status.Code(err).String())
			assert.Equal(t, row.message, status.Convert(err).Message())
			stillGood()
		})
	}
}

func TestUnpublishLeavesOthersMountsAlone(t *testing.T) {
	r := newRig(t)
	target := r.target("foreign")
	require.NoError(t, os.MkdirAll(target, 0o750))
	require.NoError(t, unix.Mount("tmpfs", target, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(target, 0)) })
	require.NoError(t, os.WriteFile(filepath.Join(target, "data"), []byte("theirs"), 0o600))

	err := r.unpublish(t, "foreign", target)
	assert.Equal(t, codes.FailedPrecondition.String(), status.Code(err).String())
	assert.Equal(t, "theirs", readFile(t, target, "data"))
}

func TestTwoPublishesOfOneVolumeAtOnce(t *testing.T) {
	r := newRig(t)
	var wait sync.WaitGroup
	errs := make([]error, 8)
	require.NoError(t, os.MkdirAll(filepath.Dir(r.target("race")), 0o750))
	request := r.publishRequest("race")
	t.Cleanup(func() { r.unpublishQuietly(request) })
	for i := range errs {
		wait.Go(func() { _, errs[i] = r.node.NodePublishVolume(t.Context(), r.publishRequest("race")) })
	}
	wait.Wait()
	for _, err := range errs {
		assert.NoError(t, err)
	}
	r.publishGood(t, "race")
}

func TestAVolumeHasOneTarget(t *testing.T) {
	r := newRig(t)
	stillGood := r.publishGood(t, "good")
	second := r.publishRequest("good")
	second.TargetPath = r.target("elsewhere")
	err := r.publish(t, second)
	assert.Equal(t, codes.FailedPrecondition.String(), status.Code(err).String())
	assert.Equal(t, "volume good is already published at another target path", status.Convert(err).Message())
	stillGood()
}

// The pod whose files are there is not the one that asks.
func TestATargetHasOneVolume(t *testing.T) {
	r := newRig(t)
	stillGood := r.publishGood(t, "good")
	for name, connections := range map[string]string{"would be served": "warehouse", "would be refused": "absent"} {
		t.Run(name, func(t *testing.T) {
			request := r.publishRequest("other")
			request.TargetPath, request.VolumeContext["connections"] = r.target("good"), connections
			_, err := r.node.NodePublishVolume(t.Context(), request)
			assert.Equal(t, codes.FailedPrecondition.String(), status.Code(err).String())
			assert.Equal(t, "another volume, good, is published at the target path", status.Convert(err).Message())
			stillGood()
		})
	}
}

func TestManyUnpublishesOfOneVolumeAtOnce(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "race")
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() { errs[i] = r.unpublish(t, "race", r.target("race")) })
	}
	wait.Wait()
	for _, err := range errs {
		assert.NoError(t, err)
	}
	assert.NoDirExists(t, r.target("race"))
}

// A republish must never fail on a live volume: kubelets before 1.37 break the pod.
func TestRepublishNeverFailsALiveVolume(t *testing.T) {
	type request = csi.NodePublishVolumeRequest
	for _, row := range []struct {
		name   string
		breaks func(r *rig, request *request)
		note   string
	}{
		{"token gone", func(_ *rig, request *request) { request.Secrets = nil }, "kept the live volume as it is: kubelet sent no token"},
		{"attribute that a newer driver refuses", func(_ *rig, request *request) {
			request.VolumeContext["legacy"] = "yes"
		}, "kept the live volume as it is: volumes[].csi.volumeAttributes.legacy"},
		{"value larger than the volume", func(r *rig, request *request) {
			r.provider.SetVariable("region", strings.Repeat("x", volumeSize))
			request.VolumeContext["mode"] = "0400"
		}, ""},
		{"provider away", func(r *rig, request *request) {
			r.provider.Fail(fmt.Errorf("asking: %w", provider.ErrUnavailable))
			request.VolumeContext["mode"] = "0400"
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			stillGood := r.publishGood(t, "live")
			request := r.publishRequest("live")
			row.breaks(r, request)
			require.NoError(t, r.publish(t, request))
			stillGood()
			if row.note != "" {
				lines := r.logs.lines(t, "NodePublishVolume")
				require.Len(t, lines, 2)
				assert.Equal(t, "WARN", lines[1]["level"])
				assert.Contains(t, lines[1]["notice"], row.note)
			}
		})
	}
}

// After a restart the driver remembers nothing; what is mounted is still live.
func TestRestartedDriverKnowsLiveVolumes(t *testing.T) {
	r := newRig(t)
	stillGood := r.publishGood(t, "live")
	require.NoError(t, r.stop())
	stillGood()

	r.server.Driver.Deliverer = r.newDeliverer()
	r.start(t)
	request := r.publishRequest("live")
	request.Secrets = nil
	require.NoError(t, r.publish(t, request))
	stillGood()
	require.NoError(t, r.unpublish(t, "live", r.target("live")))
	assert.NoDirExists(t, r.target("live"))
}

// A driver that was killed between the mount and the first files leaves an empty
// volume, which is not a live one.
func TestAHalfDonePublishIsFinishedByTheNext(t *testing.T) {
	r := newRig(t)
	target := r.target("half")
	require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o750))
	_, err := new(mount.Mounter).Mount(target, mount.Options{SizeBytes: volumeSize})
	require.NoError(t, err)

	bad := r.publishRequest("half")
	bad.Secrets = nil
	assert.Equal(t, codes.Unauthenticated.String(), status.Code(r.publish(t, bad)).String())
	r.publishGood(t, "half")
}

func TestOptionalEntriesAreNotedInTheManifest(t *testing.T) {
	r := newRig(t)
	r.provider.Deny("worker", entry.Name{Kind: entry.Connection, ID: "payroll"})
	request := r.publishRequest("optional")
	request.VolumeContext["connections"] = "warehouse, payroll?, ghost?"
	require.NoError(t, r.publish(t, request))

	states := map[string]string{}
	for _, line := range r.manifest(t, "optional").Entries {
		states[line.ID] = string(line.State)
	}
	assert.Equal(t, map[string]string{"warehouse": "delivered", "region": "delivered", "payroll": "denied", "ghost": "missing"}, states)
}

func TestOddIDsAreDelivered(t *testing.T) {
	r := newRig(t)
	odd := []string{"..", ".", "a/b", "../../etc/passwd", `back\slash`, "my-conn", "v1.2", "ünïcode", strings.Repeat("k", 250)}
	for _, id := range odd {
		host := "host"
		r.provider.SetConnection(airflow.Connection{ID: id, Type: "http", Host: &host})
	}
	request := r.publishRequest("odd")
	request.VolumeContext["connections"] = strings.Join(odd, ", ")
	require.NoError(t, r.publish(t, request))

	files := map[string]string{}
	for _, entry := range r.manifest(t, "odd").Entries {
		files[entry.ID] = entry.File
	}
	for _, id := range odd {
		require.Contains(t, files, id)
		assert.True(t, filepath.IsLocal(files[id]), "%q of %q", files[id], id)
		assert.Equal(t, "http://host", readFile(t, r.target("odd"), files[id]))
	}
}

func TestAttributesReachTheFiles(t *testing.T) {
	r := newRig(t)
	request := r.publishRequest("attributes")
	request.VolumeContext["mode"] = "0404"
	request.VolumeContext["format"] = "json"
	request.VolumeContext["connections"] = "*"
	require.NoError(t, r.publish(t, request))

	path := filepath.Join(r.target("attributes"), "connections", "warehouse")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o404), info.Mode().Perm())
	assert.True(t, json.Valid([]byte(readFile(t, path))))
}

// recorder keeps what it is asked to publish. A user namespace knows no group to give
// files to.
type recorder struct {
	Deliverer
	volumes chan deliver.Volume
}

func (r recorder) Publish(_ context.Context, volume deliver.Volume) error {
	r.volumes <- volume
	return nil
}

func TestThePodsGroupOwnsTheFiles(t *testing.T) {
	for group, want := range map[string]uint32{"": 0, "0": 0, "4242": 4242, "4294967294": 4294967294} {
		recorded := recorder{volumes: make(chan deliver.Volume, 1)}
		r := newRig(t, func(r *rig) {
			recorded.Deliverer = r.server.Driver.Deliverer
			r.server.Driver.Deliverer = recorded
		})
		request := r.publishRequest("group")
		request.VolumeCapability.GetMount().VolumeMountGroup = group
		require.NoError(t, r.publish(t, request))
		assert.Equal(t, want, testwait.Receive(t, recorded.volumes).Group)
	}
}

func (r *rig) manifest(t *testing.T, volumeID string) layout.Manifest {
	t.Helper()
	var manifest layout.Manifest
	require.NoError(t, json.Unmarshal([]byte(readFile(t, r.target(volumeID), layout.ManifestFile)), &manifest))
	return manifest
}
