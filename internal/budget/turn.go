package budget

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Turn is memory that one delivery has reserved. It is left once.
type Turn struct {
	budget    *Budget
	namespace string
	bytes     int64
}

// queue are the deliveries that wait for memory: by namespace, and each namespace's in the
// order they came. The namespaces take turns.
type queue struct {
	limited    bool
	namespaces []string
	waiting    map[string][]*waiter
}

type waiter struct {
	Turn
	granted chan struct{} // closed
}

// Enter waits for so many bytes of memory for a delivery of the namespace, no longer than patience
// and until ctx ends. Its error is an *Exhausted, or wraps why ctx ended: then nothing is known of
// the memory. Nobody may enter who has not left another turn: then all could wait for each other.
func (b *Budget) Enter(ctx context.Context, patience time.Duration, namespace string, bytes int64) (*Turn, error) {
	turn := Turn{b, namespace, bytes}
	w, err := b.enter(turn)
	if w == nil {
		return &turn, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.granted:
		return &w.Turn, nil
	case <-ctx.Done():
	case <-timer.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.queue.remove(w) {
		return &w.Turn, nil
	}
	b.grant() // who waited behind it
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for memory: %w", context.Cause(ctx))
	}
	return nil, b.tooMuch(turn)
}

// enter has the turn at once, or returns what waits for it.
func (b *Budget) enter(turn Turn) (*waiter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.mayFit(turn):
		return nil, b.tooMuch(turn)
	case turn.bytes <= b.free(turn.namespace, len(b.queue.namespaces) > 0) && len(b.queue.waiting[turn.namespace]) == 0:
		b.work.add(turn.namespace, turn.bytes)
		return nil, nil
	}
	w := &waiter{turn, make(chan struct{})}
	b.queue.add(w)
	return w, nil
}

func (b *Budget) tooMuch(turn Turn) error {
	return &Exhausted{Namespace: turn.namespace, Need: turn.bytes, Held: b.work.byNamespace[turn.namespace], Work: true}
}

// Resize has the turn hold so much, or as much as there is at once, and returns that. It waits
// for nobody.
func (t *Turn) Resize(bytes int64) int64 {
	t.budget.mu.Lock()
	defer t.budget.mu.Unlock()
	more := bytes - t.bytes
	if more > 0 {
		more = min(more, t.budget.free(t.namespace, len(t.budget.queue.namespaces) > 0))
	}
	t.budget.work.add(t.namespace, more)
	t.bytes += more
	t.budget.grant()
	return t.bytes
}

// Leave gives all of it back.
func (t *Turn) Leave() { t.Resize(0) }

// free is how much more the namespace may take; behind others that wait, only of what is kept.
func (b *Budget) free(namespace string, isBehind bool) int64 {
	if !b.queue.limited {
		return unlimited / 2
	}
	beyond := b.beyond()
	kept := min(b.work.keptRoom(namespace), b.work.size-b.work.used-beyond)
	if isBehind {
		return max(0, kept)
	}
	return max(0, kept, b.work.anyones()-b.work.used-beyond)
}

// grant lets in who can be let in. A delivery that waits for much is not overtaken by others,
// but for those of namespaces that hold little.
func (b *Budget) grant() {
	isBehind := false
	for i := 0; i < len(b.queue.namespaces); {
		namespace := b.queue.namespaces[i]
		next := b.queue.waiting[namespace][0]
		if next.bytes > b.free(namespace, isBehind) {
			isBehind = isBehind || b.mayFit(next.Turn)
			i++
			continue
		}
		b.queue.serve(next)
		b.work.add(namespace, next.bytes)
		close(next.granted)
	}
}

// mayFit reports whether there is memory for the delivery once no other is under way.
func (b *Budget) mayFit(turn Turn) bool {
	return !b.queue.limited || turn.bytes <= b.work.anyones()-b.beyond()
}

// beyond is what volumes hold beyond their part, those of an earlier process or with files that
// are held open: deliveries have to do without.
func (b *Budget) beyond() int64 { return max(0, b.volumes.used-b.volumes.size) }

func (q *queue) add(w *waiter) {
	if q.waiting == nil {
		q.waiting = map[string][]*waiter{}
	}
	if len(q.waiting[w.namespace]) == 0 {
		q.namespaces = append(q.namespaces, w.namespace)
	}
	q.waiting[w.namespace] = append(q.waiting[w.namespace], w)
}

// remove takes out who waits, which leaves its namespace in its place; false if it does not wait any
// more.
func (q *queue) remove(w *waiter) bool {
	all := q.waiting[w.namespace]
	at := slices.Index(all, w)
	if at < 0 {
		return false
	}
	if all = slices.Delete(all, at, at+1); len(all) > 0 {
		q.waiting[w.namespace] = all
		return true
	}
	delete(q.waiting, w.namespace)
	q.namespaces = slices.DeleteFunc(q.namespaces, func(namespace string) bool { return namespace == w.namespace })
	return true
}

// serve takes out who waits, and puts its namespace behind the others.
func (q *queue) serve(w *waiter) {
	if q.remove(w); len(q.waiting[w.namespace]) > 0 {
		place := slices.Index(q.namespaces, w.namespace)
		q.namespaces = append(slices.Delete(q.namespaces, place, place+1), w.namespace)
	}
}
