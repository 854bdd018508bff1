package envshim

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/leoflow/secrets-csi/internal/testwait"
)

func TestFollow(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, numbered(0))
	ctx, stop := context.WithCancel(context.Background())
	seen, told, done := make(chan string), make(chan string), make(chan error)
	go func() {
		done <- Follow(ctx, volume, func(line string) { told <- line }, func(snapshot Snapshot) error {
			value := snapshot.Entries[0].Value.Reveal()
			seen <- value
			if value == "3" {
				return errors.New("refused")
			}
			return nil
		})
	}()
	for number := range 6 {
		deliver(t, volume, numbered(number))
		assert.Equal(t, fmt.Sprint(number), testwait.Receive(t, seen))
		switch number {
		case 3:
			assert.Equal(t, "refused; trying again every 10s", testwait.Receive(t, told))
		case 4:
			assert.Contains(t, testwait.Receive(t, told), "again")
		}
	}
	stop()
	require.NoError(t, testwait.Receive(t, done))
	goleak.VerifyNone(t)
}

// disk is a place to write to that may be full.
type disk struct {
	mu    sync.Mutex
	full  bool
	tries int
	lines []string
}

func (d *disk) use(Snapshot) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tries++; d.full {
		return unix.ENOSPC
	}
	return nil
}

func (d *disk) tell(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *disk) empty() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = false
}

func (d *disk) look() (tries int, lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tries, slices.Clone(d.lines)
}

// A rotation that could not be used, as on a full disk, is not forgotten.
func TestFollowTriesAgainUntilItSucceeds(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, numbered(1))
	d := &disk{full: true}
	f := follower{dir: volume, tell: d.tell, use: d.use, fingerprinter: fingerprinter{maphash.MakeSeed()}}
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		go f.loop(changed)
		changed <- struct{}{}
		time.Sleep(3*slowPoll + 1)
		synctest.Wait()
		tries, lines := d.look()
		assert.Equal(t, 4, tries)
		assert.Equal(t, []string{"no space left on device; trying again every 10s"}, lines, "once, however often it fails")

		d.empty()
		time.Sleep(slowPoll)
		synctest.Wait()
		tries, lines = d.look()
		assert.Equal(t, 5, tries)
		require.Len(t, lines, 2)
		assert.Equal(t, "following the volume again: what failed before has succeeded", lines[1])

		time.Sleep(10 * slowPoll)
		synctest.Wait()
		tries, _ = d.look()
		assert.Equal(t, 5, tries, "what was used is not used again")
		close(changed)
	})
}

func TestFollowNeedsAFirstSuccess(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	use := func(Snapshot) error { return errors.New("refused") }
	assert.ErrorContains(t, Follow(ctx, newDirectory(t), nil, use), "refused")
	assert.ErrorIs(t, Follow(ctx, t.TempDir(), nil, use), ErrNotDelivered)
	assert.ErrorIs(t, Follow(ctx, filepath.Join(t.TempDir(), "absent"), nil, use), ErrNotDelivered)
	stop()
	goleak.VerifyNone(t)
}
