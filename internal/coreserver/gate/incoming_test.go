package gate

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// send writes as long as the other end takes it.
func (v visitor) send(bytes int) (sent int) {
	chunk := make([]byte, 16<<10)
	for sent < bytes {
		n, err := v.other.Write(chunk)
		sent += n
		if err != nil {
			return sent
		}
	}
	return sent
}

// taking reads all that comes, as gRPC does.
func (v visitor) taking(t *testing.T) {
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(io.Discard, v.conn) }()
	t.Cleanup(func() { v.leave(); <-done })
}

func TestAStrangerMaySendLittle(t *testing.T) {
	d := NewDoor(Limits{Memory: 128 << 20})
	stranger, known := visit(d, "10.0.0.1"), visit(d, "10.0.0.2")
	stranger.taking(t)
	known.taking(t)
	known.conn.Known()
	assert.LessOrEqual(t, stranger.send(4<<20), strangerBytes+64<<10)
	assert.Equal(t, 4<<20, known.send(4<<20), "what is no part of a call is not kept")
}

// Calls that do not come to their end take what all have on their way in. Others are heard
// all the same.
func TestWhatIsOnItsWayInIsBounded(t *testing.T) {
	d := NewDoor(Limits{Memory: 128 << 20})
	slow, honest := visit(d, "10.0.0.1"), visit(d, "10.0.0.2")
	for _, each := range []visitor{slow, honest} {
		each.taking(t)
		each.conn.Known()
		each.conn.Begin()
	}
	assert.LessOrEqual(t, slow.send(64<<20), int(d.receive)+64<<10)
	require.Eventually(t, slow.raw.closed.Load, time.Minute, time.Millisecond)
	nothingComes := func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.incoming == 0 }
	require.Eventually(t, nothingComes, time.Minute, time.Millisecond)
	for range 100 { // a call after the other
		assert.Equal(t, 1<<20, honest.send(1<<20))
		honest.conn.Received(1 << 20)
	}
	honest.conn.End()
	require.Eventually(t, nothingComes, time.Minute, time.Millisecond)
}

// calling is visit for one who has begun a call, and sends so many bytes of it.
func calling(t *testing.T, d *Door, ip string, bytes int) visitor {
	v := visit(d, ip)
	v.taking(t)
	v.conn.Known()
	v.conn.Begin()
	go v.send(bytes)
	synctest.Wait()
	return v
}

// nodesCalling are so many nodes, each of which asks for all of its pods.
func nodesCalling(t *testing.T, d *Door, count int) (nodes []visitor) {
	for i := range count {
		nodes = append(nodes, calling(t, d, fmt.Sprintf("10.0.1.%d", i), ofNode))
	}
	return nodes
}

func gone(of []visitor) (count int) {
	for _, each := range of {
		if each.raw.closed.Load() {
			count++
		}
	}
	return count
}

// ofNode is about what a node sends for 110 pods in one call.
const ofNode = 128 << 10

// One good token kept calls of 8 MiB waiting, and core hung up on each node that asked for 55 pods at once.
func TestWhoHasMostOnItsWayInGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Memory: 128 << 20})
		var greedy []visitor
		for range 8 {
			greedy = append(greedy, calling(t, d, "10.0.0.1", int(d.receive)/8-16<<10))
		}
		nodes := nodesCalling(t, d, 60)
		assert.Equal(t, len(greedy), gone(greedy))
		assert.Zero(t, gone(nodes))
		assert.EqualValues(t, len(nodes)*ofNode, d.incoming, "all of it has come in")
	})
}

// Core hung up on 440 of 500 nodes that asked for all of their pods at once, and again when they came back.
func TestWhoHasToWaitSendsOnInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Memory: 128 << 20})
		nodes := nodesCalling(t, d, 200)
		assert.Zero(t, gone(nodes))
		assert.Less(t, d.incoming+d.held, d.receive+d.receive/heldOf)
		for _, each := range nodes { // they are answered in the order in which they came
			assert.EqualValues(t, ofNode, d.coming[each.conn])
			each.conn.Received(ofNode)
			each.conn.End()
			synctest.Wait()
		}
		assert.Zero(t, gone(nodes))
		assert.Zero(t, d.incoming+d.held)
		assert.Empty(t, d.coming)
		assert.Empty(t, d.waiting)
	})
}

func TestNobodyWaitsForEverUntilHeMaySendOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Memory: 128 << 20})
		nodes := nodesCalling(t, d, 66)
		assert.Len(t, d.waiting, 2)
		_ = d.waiting[0].Close()
		time.Sleep(patience)
		synctest.Wait()
		assert.Empty(t, d.waiting)
		assert.Zero(t, d.held)
		assert.Equal(t, 2, gone(nodes[64:]), "one has left, and one waited too long")
		assert.Zero(t, gone(nodes[:64]))
	})
}

// What was read before its call had begun counts once it is a message.
func TestAMessageThatWaitsIsCounted(t *testing.T) {
	d := NewDoor(Limits{Memory: 128 << 20})
	var nodes []visitor
	for i := range 65 {
		nodes = append(nodes, visit(d, fmt.Sprintf("10.0.1.%d", i)))
		defer nodes[i].leave()
		nodes[i].conn.Known()
		nodes[i].conn.Begin()
		nodes[i].conn.Arrived(ofNode)
		assert.Equal(t, i < 64, nodes[i].conn.MayWait(), i)
	}
	greedy := visit(d, "10.0.0.1")
	defer greedy.leave()
	greedy.conn.Known()
	greedy.conn.Begin()
	greedy.conn.Arrived(1 << 20)
	assert.False(t, greedy.conn.MayWait())
	assert.True(t, nodes[0].conn.MayWait(), "who has much goes")
	require.Eventually(t, greedy.raw.closed.Load, time.Minute, time.Millisecond)
	for _, each := range nodes {
		each.conn.Received(ofNode)
		each.conn.End()
	}
	assert.Zero(t, d.incoming)
}

// So many connections had 85 MiB of core's 128, of calls that were each small enough to be heard in any case.
func TestManySmallCallsAreBoundedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Memory: 128 << 20})
		var nodes []visitor
		for i := range 1300 {
			nodes = append(nodes, calling(t, d, fmt.Sprintf("10.0.%d.1", i/10), 60<<10))
		}
		assert.Less(t, d.incoming+d.held, 2*d.receive+int64(len(nodes)*fewBytes))
		assert.Positive(t, gone(nodes))
	})
}
