package deliver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
)

// cutOff is a provider that tells nothing, and whose watch ends when a test says so.
type cutOff struct {
	*providertest.Fake
	end chan error
}

func (c cutOff) Watch(ctx context.Context, _ func(provider.Change)) error {
	select {
	case err := <-c.end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// What changes once a watch has ended nobody tells, so that the volumes cannot wait for
// the time that they have while one is up.
func TestAWatchThatEndsIsFollowedByALook(t *testing.T) {
	var end chan error
	arrange := func(r *rig) {
		end = make(chan error)
		r.asks.Providers["core"] = cutOff{r.fake, end}
	}
	rotated(t, arrange, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		r.fake.SetConnection(warehouse("second"))
		time.Sleep(2 * r.PollEvery)
		synctest.Wait()
		require.Equal(t, firstURI, read(t, v, "connections/warehouse"), "a watch is up, and tells of nothing")

		end <- errors.New("cut off")
		time.Sleep(r.PollEvery)
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
	})
}

// A provider that tells of one change without end is asked now and then, and a change that
// is one shows within a second all the same.
func TestNewsThatChangesNothingWearsOff(t *testing.T) {
	rotated(t, func(*rig) {}, func(t *testing.T, r *rig) {
		v := r.volume(t, "a")
		require.NoError(t, r.Publish(t.Context(), v))
		<-r.fake.Watching()
		news := provider.Change{Entries: []entry.Name{{Kind: entry.Connection, ID: "warehouse"}}}
		before := len(r.fake.Calls())
		for range 60_000 {
			r.fake.Notify(news)
			time.Sleep(time.Millisecond)
		}
		assert.InDelta(t, 65, len(r.fake.Calls())-before, 10, "in a minute")

		r.fake.SetConnection(warehouse("second"))
		r.fake.Notify(news)
		time.Sleep(schedule.MaxDebounce)
		synctest.Wait()
		assert.Equal(t, secondURI, read(t, v, "connections/warehouse"))
	})
}
