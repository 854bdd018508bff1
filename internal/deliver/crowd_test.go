package deliver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// TestAfterACrowdNothingIsTaken publishes and unpublishes at random, at a few targets and by callers
// that overtake one another, give up and change what they ask for, while values grow, break, go and
// the source fails. In the end no memory is taken, no delivery under way and nothing mounted.
func TestAfterACrowdNothingIsTaken(t *testing.T) {
	const targets, callers = 6, 8
	r := newRigWithin(t, small)
	idle := r.Memory() // which has volumes of others that this user may not unmount
	volumes := make([]Volume, 2*targets)
	for i := range volumes { // each target has two volumes that replace one another
		volumes[i] = r.withNamespace(r.largeVolume(t, fmt.Sprint("pod-", i%targets)), fmt.Sprint("tenant-", i%3))
		volumes[i].ID = fmt.Sprint("csi-", i)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(running) }()
	var all sync.WaitGroup
	for caller := range callers {
		own := rand.New(rand.NewPCG(13, uint64(caller)))
		all.Go(func() {
			for range testlong.Count(60, 2000) {
				r.anything(t, own, volumes[own.IntN(len(volumes))])
			}
		})
	}
	all.Wait()
	stop()
	require.NoError(t, <-ended)
	r.fake.Fail(nil)
	for _, v := range volumes {
		require.NoError(t, r.Unpublish(t.Context(), v.ID, v.TargetPath))
	}
	assert.Equal(t, idle.HeldVolumes, r.Memory().HeldVolumes)
	assert.Zero(t, r.Memory().HeldWork)
	assert.Equal(t, idle.ByNamespace, r.Memory().ByNamespace)
	assert.Empty(t, r.targets.held)
	assert.Empty(t, r.set.byID)
	assert.Empty(t, r.set.shares)
	assert.Empty(t, r.mounted(t))
	assert.NotContains(t, r.log.String(), `"msg":"panic"`)
	leave, err := r.filling.Take(t.Context(), "all", volumesAtOnce)
	require.NoError(t, err)
	leave()
	leave, err = r.awaiting.Take(t.Context(), "all", awaitingAtOnce)
	require.NoError(t, err)
	leave()
}

// anything is one thing that happens to the volume, or to its source.
func (r *rig) anything(t *testing.T, random *rand.Rand, v Volume) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch random.IntN(10) {
	case 0, 1, 2, 3:
		if random.IntN(4) == 0 {
			cancel()
		}
		defer time.AfterFunc(time.Duration(random.IntN(200))*time.Millisecond, cancel).Stop() // it may wait
		if random.IntN(3) == 0 {
			v.Variables = named("large", "region")
		}
		_ = r.Publish(ctx, v) // or it is refused
	case 4, 5, 6:
		assert.NoError(t, r.Unpublish(ctx, v.ID, v.TargetPath))
	case 7:
		r.fake.SetVariable("large", strings.Repeat("y", random.IntN(500<<10)))
	case 8:
		r.fake.Fail([]error{nil, nil, provider.ErrUnavailable, provider.ErrTooLarge, provider.ErrDenied}[random.IntN(5)])
	default:
		if random.IntN(2) == 0 {
			r.fake.Remove(variableName("large"))
		} else {
			r.fake.Break(variableName("large"), "its seal is broken")
		}
	}
}
