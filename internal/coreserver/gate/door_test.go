package gate

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
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
