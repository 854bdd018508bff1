package csi

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"

	"github.com/leoflow/secrets-csi/internal/testport"
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

// TestALostSocketIsMadeAnew deletes or replaces a socket by which kubelet finds the driver.
func TestALostSocketIsMadeAnew(t *testing.T) {
	for i, which := range []string{"csi", "registration"} {
		for _, how := range []struct {
			name string
			lose func(t *testing.T, path string)
		}{
			{"deleted", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }},
			{"replaced", func(t *testing.T, path string) {
				stale := filepath.Join(testport.SocketDir(t), "stale.sock")
				testport.LeaveSocket(t, stale)
				require.NoError(t, os.Rename(stale, path)) // in one step, since the driver looks all the time
			}},
		} {
			t.Run(which+"/"+how.name, func(t *testing.T) {
				r := newRig(t, func(r *rig) {
					r.server.RegistrationDir, r.server.lookEvery = filepath.Join(r.directory, "registry"), 10*time.Millisecond
				})
				r.publishGood(t, "good")
				r.register(t)
				require.NoError(t, r.server.Ready(t.Context()))

				how.lose(t, r.server.paths()[i])

				require.Eventually(t, func() bool { return strings.Contains(r.logs.String(), "made a lost socket anew") }, 5*time.Second, time.Millisecond)
				require.NoError(t, r.server.Live(t.Context()))
				if which == "registration" {
					assert.ErrorContains(t, r.server.Ready(t.Context()), "kubelet has not registered the driver yet")
				}
				r.register(t)
				require.NoError(t, r.server.Ready(t.Context()))
				r.publishGood(t, "another")
			})
		}
	}
}

// A lost socket is told of until it is made anew.
func TestNotReadyWithoutASocket(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.server.RegistrationDir, r.server.lookEvery = filepath.Join(r.directory, "registry"), time.Hour
	})
	r.publishGood(t, "good")
	r.register(t)
	require.NoError(t, os.Remove(r.server.registrationPath()))
	for _, err := range []error{r.server.Live(t.Context()), r.server.Ready(t.Context())} {
		assert.ErrorContains(t, err, "the socket "+r.server.registrationPath()+" is gone: ")
	}
	require.NoError(t, os.Remove(r.server.Endpoint))
	for _, err := range []error{r.server.Live(t.Context()), r.server.Ready(t.Context())} {
		assert.ErrorContains(t, err, "the CSI socket "+r.server.Endpoint+" does not answer: ")
	}
}

// register is kubelet that finds the socket.
func (r *rig) register(t *testing.T) {
	t.Helper()
	kubelet := registration.NewRegistrationClient(dial(t, r.server.registrationPath()))
	_, err := kubelet.NotifyRegistrationStatus(t.Context(), &registration.RegistrationStatus{PluginRegistered: true})
	require.NoError(t, err)
}

// TestAnotherDriversSocketIsLeftAlone has somebody else serve at the path meanwhile.
func TestAnotherDriversSocketIsLeftAlone(t *testing.T) {
	r := newRig(t, func(r *rig) {
		r.server.RegistrationDir, r.server.lookEvery = filepath.Join(r.directory, "registry"), 10*time.Millisecond
	})
	r.register(t)
	path := r.server.registrationPath()
	// In one step: of a socket that is bound and does not listen yet the driver is right to take the place.
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + ".other"})
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Close()) }()
	require.NoError(t, os.Rename(path+".other", path))
	require.EqualError(t, r.server.Live(t.Context()), "the socket "+path+" was replaced by another file")
	require.Eventually(t, func() bool { return strings.Contains(r.logs.String(), "cannot make a lost socket anew") }, 5*time.Second, time.Millisecond)
	require.NoError(t, r.stop())
	assert.FileExists(t, path, "what another made")
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
