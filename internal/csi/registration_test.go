package csi

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

func TestKubeletLearnsOfTheDriver(t *testing.T) {
	for name, kubeletEndpoint := range map[string]string{
		"same path":      "",
		"in a container": "/var/lib/kubelet/plugins/leoflow/csi.sock",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(r *rig) {
				r.server.RegistrationDir = filepath.Join(r.directory, "registry")
				r.server.KubeletEndpoint = kubeletEndpoint
			})
			kubelet := registration.NewRegistrationClient(dial(t, filepath.Join(r.server.RegistrationDir, "secrets.csi.leoflow.io-reg.sock")))
			info, err := kubelet.GetInfo(t.Context(), &registration.InfoRequest{})
			require.NoError(t, err)
			assert.Equal(t, "CSIPlugin", info.GetType())
			assert.Equal(t, "secrets.csi.leoflow.io", info.GetName())
			assert.Equal(t, cmp.Or(kubeletEndpoint, r.server.Endpoint), info.GetEndpoint())
			assert.Equal(t, []string{"1.0.0"}, info.GetSupportedVersions())
		})
	}
}

func TestRegistrationIsReported(t *testing.T) {
	r := newRig(t, func(r *rig) { r.server.RegistrationDir = filepath.Join(r.directory, "registry") })
	kubelet := registration.NewRegistrationClient(dial(t, r.server.paths()[1]))
	for _, outcome := range []*registration.RegistrationStatus{
		{PluginRegistered: true},
		{Error: "a driver of that name exists"},
	} {
		_, err := kubelet.NotifyRegistrationStatus(t.Context(), outcome)
		require.NoError(t, err)
	}
	assert.Contains(t, r.logs.String(), `"msg":"registered with kubelet"`)
	assert.Contains(t, r.logs.String(), `"error":"a driver of that name exists"`)
}

func TestWithoutADirectoryNothingRegisters(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "good")
	entries, err := os.ReadDir(r.directory)
	require.NoError(t, err)
	for _, entry := range entries {
		assert.Contains(t, []string{"csi.sock", "pods"}, entry.Name())
	}
}
