package gate

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// readWithin is how long an answer may take to leave: whoever asked has given up by then.
	readWithin = 30 * time.Second
	// fewBytes is what a connection may have on its way in, whatever others do: a pod's call.
	fewBytes = 8 << 10
	// mostWatches stand on a connection, of which a driver needs one.
	mostWatches = 4
	// watchesEach is how many an address may begin in a second, of as many as it may have connections,
	// which it may at once. A driver whose pods are of ever other service accounts begins four.
	watchesEach = 1.0 / 8
)

var (
	errStand = fmt.Errorf("%d watches stand on this connection already", mostWatches)
	errOften = errors.New("this address begins watches without pause")
)

// Conn is a connection of the network, and what it costs. Until a token of it was good it is
// a stranger's.
type Conn struct {
	net.Conn
	door *Door
	// from is the address that it comes from, and within the network of that; the same for IPv4.
	from, within *address

	// What follows is the door's.
	among, amongPeers *list.Element // nil once it is no stranger's
	leave             *time.Timer
	received          int
	calls             int
	gone              bool
	turn              chan struct{} // closed when it may send on; nil where it may
	whole             int64         // bytes on their way in of messages that are there
	kept              int64         // bytes that there is room for though they have not come in

	mu       sync.Mutex // taken before the door's
	running  int        // calls that have not ended
	watches  int
	written  int64
	promised int64
	answers  []answer // on their way out, the first first
	late     *time.Timer
}

// answer is done once so much was written.
type answer struct {
	at   int64
	done func(sent bool)
}

// Read counts what comes in.
func (c *Conn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if n > 0 && !c.take(n) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// take tells whether the connection may send on, once it may.
func (c *Conn) take(n int) bool {
	turn, ok := c.reckon(n)
	return ok && (turn == nil || c.door.await(c, turn))
}

func (c *Conn) reckon(n int) (turn <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if c.running > 0 {
		c.door.come(c, int64(n))
	}
	if c.among != nil {
		c.received += n
		return nil, c.received <= strangerBytes
	}
	ok = c.door.hears(c)
	return c.turn, ok
}

// Arrived tells that a message of so many bytes has come in whole. It is on its way in until it is
// reckoned with elsewhere. Much of it was read before its call had begun, and not counted.
func (c *Conn) Arrived(bytes int) {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	c.whole += int64(bytes)
	c.door.come(c, max(0, c.whole-c.door.coming[c]))
}

// MayWait tells whether a message that has come in whole may stay until it is reckoned with elsewhere.
func (c *Conn) MayWait() bool {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	return c.door.bears(c)
}

// Received tells that a message of so many bytes is reckoned with elsewhere.
func (c *Conn) Received(bytes int) {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	c.whole = max(0, c.whole-int64(bytes))
	c.door.come(c, -int64(bytes))
}

// nothingComes gives back what is reckoned with as on its way in.
func (c *Conn) nothingComes() {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	c.whole = 0
	c.door.come(c, -c.door.coming[c])
}

// Call tells whether another call may begin. A stranger may not call for ever.
func (c *Conn) Call() bool {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	c.calls++
	return c.among == nil || c.calls <= strangerCalls
}

// Begin and End count the calls that run. When none does nothing is on its way in.
func (c *Conn) Begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
}

// End is called once for each Begin.
func (c *Conn) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running--; c.running == 0 {
		c.nothingComes()
	}
}

// Watch lets another watch begin; done ends it. Whoever begins them without pause is hung up on: each
// costs a decision, a record and a first message.
func (c *Conn) Watch() (done func(), err error) {
	c.door.mu.Lock()
	most := float64(c.door.limits.OfPeer)
	often := !c.from.watches.take(most, most*watchesEach)
	c.door.mu.Unlock()
	if often {
		go func() { _ = c.Close() }()
		return nil, errOften
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watches >= mostWatches {
		return nil, errStand
	}
	c.watches++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.watches--
	}, nil
}

// Known says that a token of the connection was good, or its certificate.
func (c *Conn) Known() {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	c.door.welcome(c)
}

// IsStranger tells that nothing good is known of the connection yet.
func (c *Conn) IsStranger() bool {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	return c.among != nil
}

// Refused says that a token was not. A stranger whose network has shown too many is gone.
func (c *Conn) Refused() {
	c.door.mu.Lock()
	stranger := c.among != nil
	enough := stranger && !c.within.refusals.take(refusals, refusalsEach)
	c.door.mu.Unlock()
	if enough {
		_ = c.Close()
	}
}

// Write counts what goes out.
func (c *Conn) Write(from []byte) (int, error) {
	n, err := c.Conn.Write(from)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += int64(n)
	c.settle(true)
	return n, err
}

// Promise says that so many bytes at least are about to be written, and returns how much
// there will then have been.
func (c *Conn) Promise(bytes int) (at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.promised = max(c.promised, c.written) + int64(bytes)
	return c.promised
}

// WhenSent calls done, on a goroutine of its own, once so much was written, or with false
// once the connection has ended before. One whose answers are not read in time ends.
func (c *Conn) WhenSent(at int64, done func(sent bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, answer{at, done})
	if c.late == nil {
		c.late = time.AfterFunc(readWithin, func() { _ = c.Close() })
	}
	c.settle(true)
}

// settle is done with the answers that are written; with all, where the connection ends.
func (c *Conn) settle(open bool) {
	before := len(c.answers)
	for len(c.answers) > 0 && (!open || c.answers[0].at <= c.written) {
		first := c.answers[0]
		c.answers = c.answers[1:]
		go first.done(first.at <= c.written)
	}
	switch {
	case c.late == nil || before == len(c.answers):
	case len(c.answers) == 0:
		c.late.Stop()
		c.late, c.answers = nil, nil
	default:
		c.late.Reset(readWithin)
	}
}

// Close makes room for another.
func (c *Conn) Close() error {
	c.door.mu.Lock()
	first := !c.gone
	c.gone = true
	if first {
		c.door.known(c)
		c.door.leave(c)
		c.door.goOn(c)
	}
	c.door.mu.Unlock()
	err := c.Conn.Close()
	if first {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.settle(false)
		c.nothingComes()
	}
	return err
}
