package gate

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAStrangerMayNotCallForEver(t *testing.T) {
	d := NewDoor(Limits{})
	stranger, known := visit(d, "10.0.0.1"), visit(d, "10.0.0.1")
	defer stranger.leave()
	defer known.leave()
	known.conn.Known()
	for range strangerCalls {
		assert.True(t, stranger.conn.Call())
	}
	assert.False(t, stranger.conn.Call())
	for range 10 * strangerCalls {
		require.True(t, known.conn.Call())
	}
}

func TestWhoShowsTooManyBadTokensIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{})
		known := visit(d, "10.0.0.1")
		known.conn.Known()
		looked := 0
		const seconds = 30
		for range seconds {
			for range 20 {
				stranger := visit(d, "10.0.0.1")
				if stranger.conn == nil {
					continue
				}
				for !stranger.raw.closed.Load() {
					stranger.conn.Refused()
					looked++
				}
			}
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, looked, refusals+seconds*(refusalsEach+20), "one more of each that comes")
		for range 1000 {
			known.conn.Refused()
		}
		assert.False(t, known.raw.closed.Load(), "a node may have many pods whose tokens are good no more")
		known.leave()
	})
}

func TestWatchesOfAConnectionAreCounted(t *testing.T) {
	conn := visit(NewDoor(Limits{}), "10.0.0.1").conn
	defer func() { _ = conn.Close() }()
	first, err := conn.Watch()
	require.NoError(t, err)
	for range mostWatches - 1 {
		_, err = conn.Watch()
		require.NoError(t, err)
	}
	_, err = conn.Watch()
	require.ErrorIs(t, err, errStand)
	first()
	_, err = conn.Watch()
	require.NoError(t, err)
}

// A node that begins watches and ends them, over and over, took a CPU and had a record of each.
func TestWatchesAreNotBegunWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{})
		other := visit(d, "10.0.0.2")
		begun := 0
		const seconds = 60
		for range seconds {
			for range 100 {
				one := visit(d, "10.0.0.1")
				if one.conn == nil {
					break
				}
				for range 100 {
					done, err := one.conn.Watch()
					if err != nil {
						assert.ErrorIs(t, err, errOften)
						synctest.Wait()
						assert.True(t, one.raw.closed.Load())
						break
					}
					begun++
					done()
				}
				one.leave()
			}
			time.Sleep(time.Second)
		}
		assert.InDelta(t, MostOfPeer+seconds*MostOfPeer*watchesEach, begun, MostOfPeer*watchesEach)
		_, err := other.conn.Watch()
		assert.NoError(t, err, "others do")
		other.leave()
	})
}

// sent collects what became of answers.
type sent struct {
	mu  sync.Mutex
	all []bool
}

func (s *sent) done(ok bool) { s.mu.Lock(); defer s.mu.Unlock(); s.all = append(s.all, ok) }

func (s *sent) told() []bool { s.mu.Lock(); defer s.mu.Unlock(); return s.all }

func TestAnAnswerIsHeldUntilItHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{})
		v := visit(d, "10.0.0.1")
		v.conn.Known()
		var told sent
		v.conn.WhenSent(v.conn.Promise(100), told.done)
		v.conn.WhenSent(v.conn.Promise(100), told.done)
		synctest.Wait()
		assert.Empty(t, told.told())
		written := make(chan struct{})
		go func() { defer close(written); _, _ = v.conn.Write(make([]byte, 150)) }()
		_, err := io.ReadFull(v.other, make([]byte, 150))
		require.NoError(t, err)
		<-written
		synctest.Wait()
		assert.Equal(t, []bool{true}, told.told())

		time.Sleep(readWithin)
		synctest.Wait()
		assert.Equal(t, []bool{true, false}, told.told(), "who does not read is gone, and with him what waits")
		assert.True(t, v.raw.closed.Load())
		v.leave()
	})
}
