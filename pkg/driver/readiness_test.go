package driver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

func TestReadyWhenKubeletHasRegistered(t *testing.T) {
	r := newRig(t, func(r *rig) { r.server.RegistrationDir = filepath.Join(r.directory, "registry") })
	kubelet := registration.NewRegistrationClient(dial(t, r.server.paths()[1]))
	notify := func(outcome *registration.RegistrationStatus) {
		_, err := kubelet.NotifyRegistrationStatus(t.Context(), outcome)
		require.NoError(t, err)
	}
	_, err := kubelet.GetInfo(t.Context(), &registration.InfoRequest{})
	require.NoError(t, err)

	assert.NoError(t, r.server.Live(t.Context()))
	assert.EqualError(t, r.server.Ready(t.Context()),
		"kubelet has not registered the driver yet; it looks for sockets in its plugins_registry, which must be "+r.server.RegistrationDir+" here")
	notify(&registration.RegistrationStatus{Error: "a driver of that name exists"})
	assert.EqualError(t, r.server.Ready(t.Context()), "kubelet refused the registration: a driver of that name exists")
	notify(&registration.RegistrationStatus{PluginRegistered: true})
	assert.NoError(t, r.server.Ready(t.Context()))
}

func TestReadyWithoutRegistering(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "good")
	assert.NoError(t, r.server.Ready(t.Context()))
}

// Kubelet finds the driver by its socket; whoever deletes that has cut it off.
func TestNotLiveWithoutTheSocket(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "good")
	require.NoError(t, os.Remove(r.server.Endpoint))
	for _, err := range []error{r.server.Live(t.Context()), r.server.Ready(t.Context())} {
		assert.ErrorContains(t, err, "the CSI socket "+r.server.Endpoint+" does not answer: ")
	}
}

// A driver that starts again waits for kubelet to register it again.
func TestRestartForgetsTheRegistration(t *testing.T) {
	r := newRig(t, func(r *rig) { r.server.RegistrationDir = filepath.Join(r.directory, "registry") })
	r.server.registration.Store(&registration.RegistrationStatus{PluginRegistered: true})
	require.NoError(t, r.stop())
	r.start(t)
	r.publishGood(t, "good")
	assert.ErrorContains(t, r.server.Ready(t.Context()), "kubelet has not registered the driver yet")
}
