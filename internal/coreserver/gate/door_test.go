package gate

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pipe is a connection from an address, of which the test has the other end.
type pipe struct {
	net.Conn
	from   net.Addr
	closed atomic.Bool
}

func (p *pipe) RemoteAddr() net.Addr { return p.from }

func (p *pipe) Close() error { p.closed.Store(true); return p.Conn.Close() }

// visitor is somebody at the door; conn is nil where there is no room.
type visitor struct {
	conn  *Conn
	raw   *pipe
	other net.Conn
}

func visit(d *Door, ip string) visitor {
	here, there := net.Pipe()
	raw := &pipe{Conn: here, from: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
	return visitor{d.enter(raw), raw, there}
}

func (v visitor) leave() {
	if v.conn != nil {
		_ = v.conn.Close()
	}
	_ = v.other.Close()
}

func TestStrangersMakeRoomForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Memory: 128 << 20})
		honest := visit(d, "10.0.0.1")
		honest.conn.Known()
		var crowd []visitor
		for i := range 3 * mostStrangers {
			crowd = append(crowd, visit(d, fmt.Sprintf("10.1.%d.1", i)))
			require.NotNil(t, crowd[i].conn)
		}
		synctest.Wait()
		for i, each := range crowd {
			assert.Equal(t, i < 2*mostStrangers, each.raw.closed.Load(), i)
		}
		assert.False(t, honest.raw.closed.Load())
		assert.Equal(t, mostStrangers+1, d.Open())

		late := visit(d, "10.0.0.2")
		late.conn.Known()
		time.Sleep(strangerTime)
		synctest.Wait()
		assert.Equal(t, 2, d.Open(), "strangers may not stay, and who is known may")
		honest.leave()
		late.leave()
		assert.Zero(t, d.Open())
		assert.Zero(t, d.strangers.Len())
	})
}

func TestOneAddressHasItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Memory: 128 << 20})
		assert.Equal(t, 1365, d.limits.Connections)
		var own []visitor
		for range strangersOfPeer + 2 {
			own = append(own, visit(d, "10.0.0.1"))
		}
		synctest.Wait()
		assert.True(t, own[0].raw.closed.Load())
		assert.True(t, own[1].raw.closed.Load())
		assert.Equal(t, strangersOfPeer, d.Open())
		for _, each := range own[2:] {
			each.conn.Known()
		}
		for d.Open() < MostOfPeer {
			each := visit(d, "10.0.0.1")
			if each.conn == nil {
				time.Sleep(time.Second) // it comes too fast
				continue
			}
			each.conn.Known()
			own = append(own, each)
		}
		time.Sleep(time.Minute)
		assert.Nil(t, visit(d, "10.0.0.1").conn, "it has all it may have")
		assert.NotNil(t, visit(d, "10.0.0.2").conn)
		own[2].leave()
		assert.NotNil(t, visit(d, "10.0.0.1").conn)
		time.Sleep(strangerTime)
		for _, each := range own {
			each.leave()
		}
		synctest.Wait()
		assert.Zero(t, d.Open())
	})
}

// Whoever connects again and again costs a handshake each time.
func TestOneAddressMayNotKnockForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{})
		let := 0
		const seconds = 10
		for range seconds {
			for range 1000 {
				each := visit(d, "10.0.0.1")
				if each.conn != nil {
					let++
				}
				each.leave()
			}
			time.Sleep(time.Second)
		}
		assert.LessOrEqual(t, let, MostOfPeer+seconds*MostOfPeer/2)
		assert.GreaterOrEqual(t, let, seconds*MostOfPeer/2)
	})
}

func TestCoreIsFullAtSomePoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Connections: 100})
		var all []visitor
		for i := range 100 {
			all = append(all, visit(d, fmt.Sprint("10.0.0.", i)))
			all[i].conn.Known()
		}
		assert.Nil(t, visit(d, "10.0.1.1").conn)
		for _, each := range all {
			each.leave()
		}
	})
}

func TestAddressesAreForgotten(t *testing.T) {
	d := NewDoor(Limits{})
	for i := range 3 * mostPeers {
		visit(d, fmt.Sprintf("10.%d.%d.1", i/250, i%250)).leave()
	}
	assert.LessOrEqual(t, len(d.peers), mostPeers)
}

func TestAHostIsAnAddress(t *testing.T) {
	address := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 7} }
	for ip, want := range map[string][2]string{
		"2001:db8:1:2:3::4": {"2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		"2001:db8:1:2::1":   {"2001:db8:1:2::1", "2001:db8:1:2::/64"},
		"::ffff:10.0.0.1":   {"10.0.0.1", ""},
		"10.0.0.1":          {"10.0.0.1", ""},
		"::1":               {"::1", ""},
	} {
		assert.Equal(t, want, [2]string{Host(address(ip)), networkOf(address(ip))}, ip)
	}
	link := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 7}
	assert.Equal(t, [2]string{"fe80::1", "fe80::/64"}, [2]string{Host(link), networkOf(link)})
}

// In many clusters all nodes of a zone are in one network of IPv6. On the internet it is one host's.
func TestANetworkOfIPv6HasManyNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const nodes = ofNetwork * MostOfPeer
		d := NewDoor(Limits{Connections: 4 * nodes})
		var all []visitor
		for i := range 2 * nodes {
			one := visit(d, fmt.Sprintf("2001:db8::%x", i+1))
			all = append(all, one)
			require.Equal(t, i < nodes, one.conn != nil, i)
			if one.conn != nil {
				one.conn.Known()
			}
		}
		elsewhere := visit(d, "2001:db8:0:1::1")
		require.NotNil(t, elsewhere.conn)
		elsewhere.leave()
		for _, each := range all {
			each.leave()
		}
		time.Sleep(time.Minute)
		for range MostOfPeer {
			one := visit(d, "2001:db8::1")
			require.NotNil(t, one.conn)
			one.conn.Known()
			defer one.leave()
		}
		assert.Nil(t, visit(d, "2001:db8::1").conn, "an address has its own share")
		another := visit(d, "2001:db8::2")
		assert.NotNil(t, another.conn)
		another.leave()
	})
}

// Whoever has a network shows no more bad tokens than one who has an address.
func TestANetworkThatShowsTooManyBadTokensIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{})
		looked, addresses := 0, 0
		for looked <= refusals {
			stranger := visit(d, fmt.Sprintf("2001:db8::%x", looked+1))
			require.NotNil(t, stranger.conn)
			stranger.conn.Refused()
			looked++
			if stranger.raw.closed.Load() {
				addresses++
			}
			stranger.leave()
		}
		assert.Equal(t, 1, addresses, "the last")
	})
}

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
		var greedy, nodes []visitor
		for range 8 {
			greedy = append(greedy, calling(t, d, "10.0.0.1", int(d.receive)/8-16<<10))
		}
		for i := range 60 {
			nodes = append(nodes, calling(t, d, fmt.Sprintf("10.0.1.%d", i), ofNode))
		}
		assert.Equal(t, len(greedy), gone(greedy))
		assert.Zero(t, gone(nodes))
		assert.EqualValues(t, len(nodes)*ofNode, d.incoming, "all of it has come in")
	})
}

// Core hung up on 440 of 500 nodes that asked for all of their pods at once, and again when they came back.
func TestWhoHasToWaitSendsOnInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDoor(Limits{Memory: 128 << 20})
		var nodes []visitor
		for i := range 200 {
			nodes = append(nodes, calling(t, d, fmt.Sprintf("10.0.1.%d", i), ofNode))
		}
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
		var nodes []visitor
		for i := range 66 {
			nodes = append(nodes, calling(t, d, fmt.Sprintf("10.0.1.%d", i), ofNode))
		}
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

// What the handshakes of a crowd leave behind is collected while it comes, and once for each crowd.
func TestACrowdIsCollectedAfter(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it is not by chance
	collections := func() uint32 {
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		return now.NumGC
	}
	d := NewDoor(Limits{})
	var crowd []visitor
	come := func(count int) {
		for range count {
			one := visit(d, fmt.Sprintf("10.2.%d.%d", len(crowd)>>8, len(crowd)&255))
			one.conn.Known()
			one.conn.Known() // it shows more than one token
			crowd = append(crowd, one)
		}
	}
	before := collections()
	come(collectEach - 1)
	assert.Equal(t, before, collections())
	come(1)
	require.Eventually(t, func() bool { return collections() == before+1 }, time.Minute, time.Millisecond)
	for _, each := range crowd[collectEach/2:] {
		each.leave()
	}
	crowd = crowd[:collectEach/2]
	come(collectEach - 1)
	assert.Equal(t, before+1, collections(), "who comes again is no crowd")
	come(1)
	require.Eventually(t, func() bool { return collections() == before+2 }, time.Minute, time.Millisecond)
	for _, each := range crowd {
		each.leave()
	}
}
