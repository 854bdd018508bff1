package budget

import (
	"context"
	"slices"
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

// Enter waits for so many bytes of memory for a delivery of the namespace, until ctx ends.
// Nobody may enter who has not left another turn: then all could wait for each other.
func (b *Budget) Enter(ctx context.Context, namespace string, bytes int64) (*Turn, error) {
	b.mu.Lock()
	w := &waiter{Turn: Turn{b, namespace, bytes}, granted: make(chan struct{})}
	if !b.mayFit(w) {
		defer b.mu.Unlock()
		return nil, b.tooMuch(w)
	}
	b.queue.add(w)
	b.grant()
	b.mu.Unlock()
	select {
	case <-w.granted:
		return &w.Turn, nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queue.remove(w) {
		b.grant() // who waited behind it
		return nil, b.tooMuch(w)
	}
	return &w.Turn, nil
}

func (b *Budget) tooMuch(w *waiter) error {
	return &Exhausted{Namespace: w.namespace, Need: w.bytes, Held: b.work.byNamespace[w.namespace], Work: true}
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
		if !b.fits(next, isBehind) {
			isBehind = isBehind || b.mayFit(next)
			i++
			continue
		}
		b.queue.remove(next)
		b.work.add(namespace, next.bytes)
		close(next.granted)
	}
}

// fits reports whether there is memory for the delivery now.
func (b *Budget) fits(w *waiter, isBehind bool) bool {
	return w.bytes <= b.free(w.namespace, isBehind)
}

// mayFit reports whether there is memory for the delivery once no other is under way.
func (b *Budget) mayFit(w *waiter) bool {
	return !b.queue.limited || w.bytes <= b.work.anyones()-b.beyond()
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

// remove takes out who waits, and puts its namespace behind the others; false if it does not
// wait any more.
func (q *queue) remove(w *waiter) bool {
	all := q.waiting[w.namespace]
	at := slices.Index(all, w)
	if at < 0 {
		return false
	}
	place := slices.Index(q.namespaces, w.namespace)
	q.namespaces = slices.Delete(q.namespaces, place, place+1)
	if all = slices.Delete(all, at, at+1); len(all) == 0 {
		delete(q.waiting, w.namespace)
		return true
	}
	q.waiting[w.namespace] = all
	q.namespaces = append(q.namespaces, w.namespace)
	return true
}
