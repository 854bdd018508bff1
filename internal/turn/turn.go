// Package turn is the one fair queue: it shares what there is little of among tenants, which are
// the namespaces of pods. Whoever asks for much waits behind itself, and holds up no other.
package turn

import (
	"context"
	"math"
	"slices"
	"sync"
)

// Queue hands out room. Of the tenants that wait, the one that holds least comes first, and of
// those that hold as much, the one that was served longest ago. The turns of one tenant come in
// the order in which they were asked for.
type Queue struct {
	room, share int64

	mu      sync.Mutex
	free    int64
	tenants map[string]*tenant
	// round counts the turns that were given, and the tenants that came.
	round uint64
}

// tenant is one that holds room, or waits for some.
type tenant struct {
	held     int64
	lastTurn uint64
	waiting  []*waiter
}

type waiter struct {
	weight int64
	served chan struct{}
}

// New returns a queue with so much room. One tenant may hold share times the room that it leaves
// free, so that there is some for the next; with no share it may hold all.
func New(room, share int64) *Queue {
	return &Queue{room: room, share: share, free: room, tenants: map[string]*tenant{}}
}

// Take waits for a turn of the tenant's, and returns what gives its room back. What weighs more
// than all the room takes all of it.
func (q *Queue) Take(ctx context.Context, of string, weight int64) (leave func(), err error) {
	weight = min(weight, q.room)
	asked := q.ask(of, weight)
	select {
	case <-asked.served:
	case <-ctx.Done():
		if q.giveUp(of, asked) {
			return nil, context.Cause(ctx)
		}
	}
	return sync.OnceFunc(func() { q.leave(of, weight) }), nil
}

func (q *Queue) ask(of string, weight int64) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tenants[of] == nil { // which comes last in this round, or newcomers would starve the others
		q.round++
		q.tenants[of] = &tenant{lastTurn: q.round}
	}
	asked := &waiter{weight, make(chan struct{})}
	q.tenants[of].waiting = append(q.tenants[of].waiting, asked)
	q.serve()
	return asked
}

// giveUp takes the waiter out; false if it was served meanwhile.
func (q *Queue) giveUp(of string, asked *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := q.tenants[of]
	if own == nil || !slices.Contains(own.waiting, asked) {
		return false
	}
	own.waiting = slices.DeleteFunc(own.waiting, func(other *waiter) bool { return other == asked })
	q.forget(of)
	q.serve() // who waits behind it may want less
	return true
}

func (q *Queue) leave(of string, weight int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += weight
	q.tenants[of].held -= weight
	q.forget(of)
	q.serve()
}

func (q *Queue) forget(of string) {
	if own := q.tenants[of]; own.held == 0 && len(own.waiting) == 0 {
		delete(q.tenants, of)
	}
}

// serve gives turns for as long as there is somebody who may have one.
func (q *Queue) serve() {
	for next := q.next(); next != nil; next = q.next() {
		first := next.waiting[0]
		next.waiting = next.waiting[1:]
		q.free -= first.weight
		next.held += first.weight
		q.round++
		next.lastTurn = q.round
		close(first.served)
	}
}

func (q *Queue) next() (first *tenant) {
	for _, own := range q.tenants {
		if len(own.waiting) > 0 && q.mayHave(own) && (first == nil || own.isBefore(first)) {
			first = own
		}
	}
	return first
}

func (q *Queue) mayHave(own *tenant) bool {
	weight := own.waiting[0].weight
	left := q.free - weight
	switch {
	case left < 0:
		return false
	case q.share == 0, own.held == 0:
		return true
	}
	return own.held+weight <= q.mostBeside(left)
}

// mostBeside is what a tenant may hold that leaves so much free.
func (q *Queue) mostBeside(left int64) int64 {
	if left > math.MaxInt64/q.share {
		return math.MaxInt64
	}
	return left * q.share
}

func (t *tenant) isBefore(other *tenant) bool {
	if t.held != other.held {
		return t.held < other.held
	}
	return t.lastTurn < other.lastTurn
}
