package csi

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/deliver"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestOnlyRootCanReachTheSocket(t *testing.T) {
	r := newRig(t)
	r.publishGood(t, "good")
	info, err := os.Stat(r.server.Endpoint)
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSocket|0o600, info.Mode())
}

func TestServeMayEndBeforeItBegan(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.stop())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		require.NoError(t, r.server.Serve(ended))
		require.NoFileExists(t, r.server.Endpoint)
	}
}

func TestServeTakesTheSocketOfAKilledDriver(t *testing.T) {
	r := newRig(t, func(r *rig) {
		testport.LeaveSocket(t, r.server.Endpoint)
	})
	r.publishGood(t, "good")
}

func TestASecondDriverRefusesToStart(t *testing.T) {
	r := newRig(t)
	stillGood := r.publishGood(t, "good")
	err := r.server.Serve(t.Context())
	assert.EqualError(t, err, "another driver serves "+r.server.Endpoint+"; stop it first")
	stillGood()
	assert.NoError(t, r.publish(t, r.publishRequest("another")), "the first still serves")
}

// held is a deliverer whose Publish waits.
type held struct {
	Deliverer
	entered, release chan struct{}
}

func (h held) Publish(ctx context.Context, volume deliver.Volume) error {
	close(h.entered)
	select {
	case <-h.release:
		return h.Deliverer.Publish(ctx, volume)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newHeldRig(t *testing.T, grace time.Duration) (*rig, held) {
	h := held{entered: make(chan struct{}), release: make(chan struct{})}
	return newRig(t, func(r *rig) {
		h.Deliverer = r.server.Driver.Deliverer
		r.server.Driver.Deliverer = h
		r.server.Grace = grace
		r.server.RegistrationDir = filepath.Join(r.directory, "registry")
	}), h
}

func TestStoppingFinishesTheCallsInFlight(t *testing.T) {
	r, h := newHeldRig(t, time.Minute)
	published := make(chan error, 1)
	go func() { published <- r.publish(t, r.publishRequest("last")) }()
	testwait.Closed(t, h.entered)
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	// The sockets go at once, so that a successor can start; the call goes on.
	for _, path := range r.server.paths() {
		waitUntilGone(t, path)
	}
	close(h.release)
	require.NoError(t, testwait.Receive(t, published))
	require.NoError(t, testwait.Receive(t, stopped))
	assert.Equal(t, regionValue, readFile(t, r.target("last"), "variables/region"))
}

// waitUntilGone returns once path does not exist.
func waitUntilGone(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := os.Lstat(path)
		return os.IsNotExist(err)
	}, testwait.Limit, time.Millisecond)
}

func TestStoppingCancelsWhatOutlastsTheGrace(t *testing.T) {
	r, h := newHeldRig(t, time.Millisecond)
	published := make(chan error, 1)
	go func() { published <- r.publish(t, r.publishRequest("late")) }()
	testwait.Closed(t, h.entered)
	require.NoError(t, r.stop())
	assert.Contains(t, []codes.Code{codes.Canceled, codes.Unavailable}, status.Code(testwait.Receive(t, published)), "kubelet tries both again")
	assert.NoDirExists(t, r.target("late"))
	assert.Contains(t, r.logs.String(), "stopping as asked")
	assert.Contains(t, r.logs.String(), "cancelling the calls that did not finish in time")
}
