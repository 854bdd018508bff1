package csi

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Every needle is planted, every path walked at debug level, and every output
// searched: the log, the answers, and the disk outside the tmpfs.
func TestNoSecretLeavesTheVolume(t *testing.T) {
	const jsonKey = "needle-json-0badcafe"
	r := newRig(t)
	var answers strings.Builder
	publish := func(volumeID string, change func(request *csi.NodePublishVolumeRequest)) {
		request := r.publishRequest(volumeID)
		request.Secrets["token"] = taskToken
		change(request)
		fmt.Fprintln(&answers, r.publish(t, request))
	}
	nothing := func(*csi.NodePublishVolumeRequest) {}

	publish("good", nothing)
	publish("good", nothing)
	publish("elsewhere", func(r *csi.NodePublishVolumeRequest) { r.VolumeId = "good" })
	publish("writable", func(r *csi.NodePublishVolumeRequest) { r.Readonly = false })
	publish("pasted", written("connections", "postgres://u:"+warehousePassword+"@h/d"))
	publish("pasted-bare", written("connections", "u:"+warehousePassword+"@h"))
	publish("as-attribute", written("password", warehousePassword))
	publish("no-json", func(r *csi.NodePublishVolumeRequest) { r.Secrets[tokensKey] = `{"` + jsonKey })
	publish("json-type", func(r *csi.NodePublishVolumeRequest) { r.Secrets[tokensKey] = `{"a": "` + jsonKey + `"}` })
	publish("json-time", func(r *csi.NodePublishVolumeRequest) {
		r.Secrets[tokensKey] = `{"a": {"token": "` + podToken + `", "expirationTimestamp": "` + jsonKey + `"}}`
	})
	publish("expired", func(r *csi.NodePublishVolumeRequest) {
		r.Secrets = map[string]string{tokensKey: tokensJSON(time.Now().Add(-time.Hour))}
	})
	publish("odd-token", func(r *csi.NodePublishVolumeRequest) { r.Secrets["token"] = taskToken + "\n" + taskToken })
	publish("other-key", func(r *csi.NodePublishVolumeRequest) { r.Secrets = map[string]string{"jwt": taskToken} })
	publish("missing", written("connections", "ghost"))
	r.provider.SetVariable("nul", regionValue+"\x00")
	publish("nul", written("variables", "nul"))
	r.provider.SetVariable("big", regionValue+strings.Repeat("x", volumeSize))
	publish("big", written("variables", "big"))
	r.provider.RefuseToken(secret.New(taskToken))
	publish("refused", nothing)
	r.provider.Fail(provider.ErrUnavailable)
	publish("down", nothing)
	publish("good", written("mode", "0400"))
	r.searchDisk(t)
	require.NoError(t, r.unpublish(t, "good", r.target("good")))
	r.searchDisk(t)

	for _, needle := range []string{warehousePassword, regionValue, podToken, cloudToken, taskToken, jsonKey} {
		assert.NotContains(t, r.logs.String(), needle)
		assert.NotContains(t, answers.String(), needle)
	}
	assert.Contains(t, r.logs.String(), `"volume_id":"down"`, "the log that was searched is the right one")
}

// searchDisk looks for needles in every file that is not on a volume's tmpfs.
func (r *rig) searchDisk(t *testing.T) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(r.directory, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && r.server.Driver.Deliverer.IsPublished(filepath.Base(filepath.Dir(path)), path):
			return fs.SkipDir
		case entry.Type().IsRegular():
			content, err := os.ReadFile(path)
			assert.NotContains(t, string(content), "needle", path)
			return err
		}
		return nil
	}))
}
