package envshim

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestFollow(t *testing.T) {
	volume := newVolume(t)
	deliver(t, volume, numbered(0))
	ctx, stop := context.WithCancel(context.Background())
	seen, told, done := make(chan string), make(chan error), make(chan error)
	refused := errors.New("refused")
	go func() {
		done <- Follow(ctx, volume, func(err error) { told <- err }, func(snapshot Snapshot) error {
			value := snapshot.Entries[0].Value.Reveal()
			seen <- value
			if value == "3" {
				return refused
			}
			return nil
		})
	}()
	for number := range 6 {
		deliver(t, volume, numbered(number))
		assert.Equal(t, fmt.Sprint(number), <-seen)
		if number == 3 {
			assert.ErrorIs(t, <-told, refused)
		}
	}
	stop()
	require.NoError(t, <-done)
	goleak.VerifyNone(t)
}

func TestFollowNeedsAFirstSuccess(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	use := func(Snapshot) error { return errors.New("refused") }
	assert.ErrorContains(t, Follow(ctx, newDirectory(t), nil, use), "refused")
	assert.ErrorIs(t, Follow(ctx, t.TempDir(), nil, use), ErrNotDelivered)
	stop()
	goleak.VerifyNone(t)
}
