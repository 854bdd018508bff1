package gate

import (
	"slices"
	"time"
)

const (
	// muchOf is the part of what may be on its way in that is much for one address: more than a node sends
	// for all of its pods.
	muchOf = 32
	// heldOf is the part of it that connections may have which wait until they may send on.
	heldOf = 2
)

func (d *Door) much() int64 { return max(fewBytes, d.receive/muchOf) }

// come reckons with bytes that have come in of what is not there yet, or where below 0 with as many that are.
func (d *Door) come(conn *Conn, bytes int64) {
	bytes = max(bytes, -d.coming[conn])
	if d.coming[conn] += bytes; d.coming[conn] == 0 {
		delete(d.coming, conn)
	}
	kept := min(max(bytes, 0), conn.kept)
	conn.kept -= kept
	if bytes -= kept; conn.turn != nil {
		d.held += bytes
	} else {
		d.incoming += bytes
	}
	if bytes < 0 {
		d.letOn(conn)
	}
}

// letOn lets those send on for whom there is room now that less is on its way in of conn. Each is kept room
// for all that a node sends: several who had to wait again would never come to an end.
func (d *Door) letOn(conn *Conn) {
	if d.coming[conn] <= fewBytes {
		d.goOn(conn)
		d.incoming -= conn.kept
		conn.kept = 0
	}
	for len(d.waiting) > 0 && d.incoming+d.coming[d.waiting[0]]+d.much() <= d.receive {
		next := d.waiting[0]
		d.goOn(next)
		next.kept = d.much()
		d.incoming += next.kept
	}
}

// bears tells whether what a connection has on its way in may stay: all together have not too much, it has
// little, or there was room kept for it. An address that has much goes in the place of those that have less, so that one who keeps what
// there is taken keeps no node out.
func (d *Door) bears(conn *Conn) bool {
	if d.incoming <= d.receive || d.coming[conn] <= fewBytes || conn.kept > 0 {
		return true
	}
	heaviest := d.heaviest()
	if heaviest == nil || heaviest.from == conn.from {
		return false
	}
	d.come(heaviest, -d.coming[heaviest])
	go func() { _ = heaviest.Close() }()
	return true
}

// hears tells whether a connection may send on. It may have to wait for its turn, unless its address has
// much on its way in, or too many wait.
func (d *Door) hears(conn *Conn) bool {
	if d.bears(conn) {
		return true
	}
	own := d.coming[conn]
	if d.heaviest() != nil || conn.gone || d.held+own > d.receive/heldOf {
		return false
	}
	d.incoming -= own
	d.held += own
	conn.turn = make(chan struct{})
	d.waiting = append(d.waiting, conn)
	return true
}

// goOn gives conn its turn, if it waits for that.
func (d *Door) goOn(conn *Conn) {
	if conn.turn == nil {
		return
	}
	d.held -= d.coming[conn]
	d.incoming += d.coming[conn]
	close(conn.turn)
	conn.turn = nil
	d.waiting = slices.Delete(d.waiting, slices.Index(d.waiting, conn), slices.Index(d.waiting, conn)+1)
}

// await waits for the turn of conn, and tells whether that came.
func (d *Door) await(conn *Conn, turn <-chan struct{}) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-turn:
	case <-late.C:
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	inTime := conn.turn == nil
	d.goOn(conn)
	return inTime && !conn.gone
}

// heaviest is, of the address that has most on its way in, the connection that has; nil where no address has
// much.
func (d *Door) heaviest() (conn *Conn) {
	of := map[*address]int64{}
	var from *address
	for each, bytes := range d.coming {
		if of[each.from] += bytes; from == nil || of[each.from] > of[from] {
			from = each.from
		}
	}
	if from == nil || of[from] <= d.much() {
		return nil
	}
	for each, bytes := range d.coming {
		if each.from == from && (conn == nil || bytes > d.coming[conn]) {
			conn = each
		}
	}
	return conn
}
