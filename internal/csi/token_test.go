package csi

import (
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each row is a way for the tokens to arrive; the provider gets the right one. The
// refusals are rows of TestPublishRefusesBadTokens.
func TestTokensReachTheProvider(t *testing.T) {
	type request = csi.NodePublishVolumeRequest
	for _, row := range []struct {
		name   string
		change func(request *request)
		core   string
		cloud  map[string]string
	}{
		{"in secrets", func(*request) {}, podToken, map[string]string{"sts.amazonaws.com": cloudToken}},
		{"in the volume context", func(r *request) {
			r.VolumeContext[tokensKey], r.Secrets = r.Secrets[tokensKey], nil
		}, podToken, map[string]string{"sts.amazonaws.com": cloudToken}},
		{"in both, where kubelet alone writes the secrets", func(r *request) {
			r.VolumeContext[tokensKey] = `{"leoflow-core": {"token": "forged"}}`
		}, podToken, map[string]string{"sts.amazonaws.com": cloudToken}},
		{"ten minutes that are over by the node's clock, which is that much ahead", func(r *request) {
			r.Secrets[tokensKey] = tokensJSON(time.Now())
		}, podToken, map[string]string{"sts.amazonaws.com": cloudToken}},
		{"a Secret of the user's wins for core", func(r *request) { r.Secrets["token"] = taskToken + "\n" },
			taskToken, map[string]string{"sts.amazonaws.com": cloudToken}},
		{"a Secret of the user's alone", func(r *request) { r.Secrets = map[string]string{"token": taskToken} },
			taskToken, map[string]string{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			request := r.publishRequest("tokens")
			row.change(request)
			require.NoError(t, r.publish(t, request))
			calls := r.provider.Calls()
			require.Len(t, calls, 1)
			pod := calls[0].Pods[0]
			assert.Equal(t, row.core, pod.Token.Reveal())
			assert.Equal(t, row.core == taskToken, pod.TaskToken)
			cloud := map[string]string{}
			for audience, token := range pod.CloudTokens {
				cloud[audience] = token.Reveal()
			}
			assert.Equal(t, row.cloud, cloud)
			assert.Equal(t, []string{"airflow", "worker", "task-1"}, []string{pod.Namespace, pod.ServiceAccount, pod.PodName})
		})
	}
}

func TestAudienceIsConfigurable(t *testing.T) {
	r := newRig(t, func(r *rig) { r.server.Driver.Audience = "sts.amazonaws.com" })
	require.NoError(t, r.publish(t, r.publishRequest("audience")))
	pod := r.provider.Calls()[0].Pods[0]
	assert.Equal(t, cloudToken, pod.Token.Reveal())
	assert.Contains(t, pod.CloudTokens, CoreAudience)
}

// The development provider reads a file and asks for no token.
func TestOtherProvidersNeedNoToken(t *testing.T) {
	n := &node{Config: Config{Audience: CoreAudience}}
	found, err := n.readTokens(nil, nil, false)
	require.NoError(t, err)
	assert.Zero(t, found.core.Len())
}
