package envshim

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
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
		assert.Equal(t, fmt.Sprint(number), <-seen)
		switch number {
		case 3:
			assert.Equal(t, "refused; trying again every 10s", <-told)
		case 4:
			assert.Contains(t, <-told, "again")
		}
	}
	stop()
	require.NoError(t, <-done)
	goleak.VerifyNone(t)
}

// A rotation that could not be used, as on a full disk, is not forgotten.
func TestFollowTriesAgainUntilItSucceeds(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, numbered(1))
	full, tries := true, 0
	var lines []string
	f := follower{
		dir: volume, tell: func(line string) { lines = append(lines, line) },
		use: func(Snapshot) error {
			if tries++; full {
				return unix.ENOSPC
			}
			return nil
		},
		fingerprinter: fingerprinter{maphash.MakeSeed()},
	}
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		go f.loop(changed)
		changed <- struct{}{}
		time.Sleep(3*slowPoll + 1)
		synctest.Wait()
		assert.Equal(t, 4, tries)
		assert.Equal(t, []string{"no space left on device; trying again every 10s"}, lines, "once, however often it fails")

		full = false
		time.Sleep(slowPoll)
		synctest.Wait()
		assert.Equal(t, 5, tries)
		require.Len(t, lines, 2)
		assert.Equal(t, "following the volume again: what failed before has succeeded", lines[1])

		time.Sleep(10 * slowPoll)
		synctest.Wait()
		assert.Equal(t, 5, tries, "what was used is not used again")
		close(changed)
	})
}

func TestFollowNeedsAFirstSuccess(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	use := func(Snapshot) error { return errors.New("refused") }
	assert.ErrorContains(t, Follow(ctx, newDirectory(t), nil, use), "refused")
	assert.ErrorIs(t, Follow(ctx, t.TempDir(), nil, use), ErrNotDelivered)
	stop()
	goleak.VerifyNone(t)
}
