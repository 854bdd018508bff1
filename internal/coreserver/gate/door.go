package gate

import (
	"container/list"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Limits bound the connections of a core.
type Limits struct {
	// Memory is what core may take, in bytes; 0 where nobody knows.
	Memory int64
	// Connections bounds those in all; 0 reckons it from Memory.
	Connections int
	// OfPeer bounds those of one address, and a sixteenth of those of an IPv6 network (/64); 0 is
	// MostOfPeer.
	OfPeer int
}

const (
	// MostOfPeer is how many connections one address may have: a node has one.
	MostOfPeer = 64
	// ofNetwork is how many times as much as an address an IPv6 network may have. Whoever has a network of
	// his own has as many addresses as he likes; in many clusters all nodes of a zone are in one.
	ofNetwork = 16
	// connectionSize is what a connection takes that is open and idle.
	connectionSize = 48 << 10
	// withoutMemory is the limit where nobody knows how much memory there is.
	withoutMemory = 16 << 10

	// mostStrangers is how many connections there are on which no token was good yet, and
	// strangersOfPeer how many of one address. Who comes beyond them has the one go that
	// waits longest: an honest node shows its token at once.
	mostStrangers, strangersOfPeer = 48, 8
	// strangerTime is how long one may stay.
	strangerTime = 10 * time.Second
	// strangerBytes is what it may send: the first call of a node with all its pods, and
	// strangerCalls how often it may call.
	strangerBytes, strangerCalls = 512 << 10, 128
	// refusals is how many tokens of one address's strangers are looked at, and refusalsEach
	// how many more each second.
	refusals, refusalsEach = 64, 8
	// mostPeers bounds the addresses that are remembered for what they did.
	mostPeers = 4096

	// collectEach is how many connections more must stand for what their handshakes have left to be
	// collected. Left to itself the collector comes when the heap has doubled; by then what lives for
	// hours lies scattered among the garbage of a thousand handshakes, and memory that holds a little
	// of it cannot be given back.
	collectEach = 128
)

// Door lets connections in. It is safe for concurrent use.
type Door struct {
	limits  Limits
	receive int64 // the bytes that may be on their way in

	mu        sync.Mutex
	open      int
	peers     map[string]*address
	strangers *list.List      // of *Conn, the one that waits longest first
	incoming  int64           // bytes on their way in,
	held      int64           // those of connections that wait until they may send on,
	coming    map[*Conn]int64 // and all of them by connection; never 0
	waiting   []*Conn         // the one that waits longest first
	collected int             // how many stood at the last collection
}

// address is a host that connections come from, or a network of them.
type address struct {
	open      int
	strangers list.List // of *Conn
	arrivals  bucket
	refusals  bucket
	watches   bucket
}

// bucket holds a number of tokens, and gets some back each second.
type bucket struct {
	left   float64
	filled time.Time
}

func (b *bucket) take(most, each float64) bool {
	now := time.Now()
	if b.filled.IsZero() {
		b.left = most
	} else {
		b.left = min(most, b.left+each*now.Sub(b.filled).Seconds())
	}
	b.filled = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// NewDoor takes what is left out of limits from its defaults.
func NewDoor(limits Limits) *Door {
	if limits.Connections == 0 {
		limits.Connections = withoutMemory
		if limits.Memory > 0 {
			limits.Connections = max(int(limits.Memory/2/connectionSize), mostStrangers+1)
		}
	}
	if limits.OfPeer == 0 {
		limits.OfPeer = MostOfPeer
	}
	receive := int64(withoutLimit / 2)
	if limits.Memory > 0 {
		receive = max(limits.Memory/16, least/2)
	}
	return &Door{limits: limits, receive: receive, peers: map[string]*address{}, strangers: list.New(), coming: map[*Conn]int64{}}
}

// Open tells how many connections there are.
func (d *Door) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// enter is nil where there is no room.
func (d *Door) enter(raw net.Conn) *Conn {
	host, network := Host(raw.RemoteAddr()), networkOf(raw.RemoteAddr())
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.peer(host)
	if d.open >= d.limits.Connections || !from.enter(d.limits.OfPeer) {
		return nil
	}
	within := from
	if network != "" {
		if within = d.peer(network); !within.enter(ofNetwork * d.limits.OfPeer) {
			from.open--
			return nil
		}
	}
	d.open++
	conn := &Conn{Conn: raw, door: d, from: from, within: within}
	var longest *list.Element
	switch {
	case from.strangers.Len() >= max(strangersOfPeer, d.limits.OfPeer/8):
		longest = from.strangers.Front()
	case d.strangers.Len() >= max(mostStrangers, d.limits.OfPeer/8):
		longest = d.strangers.Front()
	}
	if longest != nil {
		evicted := longest.Value.(*Conn)
		go func() { _ = evicted.Close() }()
		d.known(evicted)
	}
	conn.among, conn.amongPeers = d.strangers.PushBack(conn), from.strangers.PushBack(conn)
	conn.leave = time.AfterFunc(strangerTime, func() { _ = conn.Close() })
	return conn
}

// enter tells whether there is room for one more.
func (a *address) enter(most int) bool {
	if a.open >= most || !a.arrivals.take(float64(most), float64(most)/2) {
		return false
	}
	a.open++
	return true
}

// leave is called for what has entered.
func (d *Door) leave(conn *Conn) {
	d.open--
	d.collected = min(d.collected, d.open)
	conn.from.open--
	if conn.within != conn.from {
		conn.within.open--
	}
}

// welcome takes a connection from among the strangers for what it has shown.
func (d *Door) welcome(conn *Conn) {
	d.known(conn)
	if standing := d.open - d.strangers.Len(); standing >= d.collected+collectEach {
		d.collected = standing
		go runtime.GC()
	}
}

// peer is made where it is not known, and forgotten, in some order, where there are too
// many that have nothing open.
func (d *Door) peer(host string) *address {
	if known := d.peers[host]; known != nil {
		return known
	}
	if len(d.peers) >= mostPeers {
		for other, state := range d.peers {
			if state.open == 0 {
				delete(d.peers, other)
				break
			}
		}
	}
	made := &address{}
	d.peers[host] = made
	return made
}

// known takes a connection from among the strangers.
func (d *Door) known(conn *Conn) {
	if conn.among == nil {
		return
	}
	conn.leave.Stop()
	conn.leave = nil // an hour is long to keep it
	d.strangers.Remove(conn.among)
	conn.from.strangers.Remove(conn.amongPeers)
	conn.among, conn.amongPeers = nil, nil
}

// Host is an address without its port.
func Host(address net.Addr) string {
	if ip, ok := ipOf(address); ok {
		return ip.String()
	}
	return address.String()
}

// networkOf is the network of an IPv6 address, and empty for every other.
func networkOf(address net.Addr) string {
	ip, ok := ipOf(address)
	if !ok || !ip.Is6() || ip.IsLoopback() {
		return ""
	}
	network, _ := ip.Prefix(64)
	return network.String()
}

func ipOf(address net.Addr) (netip.Addr, bool) {
	tcp, isTCP := address.(*net.TCPAddr)
	if !isTCP {
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	return ip.Unmap(), ok
}
