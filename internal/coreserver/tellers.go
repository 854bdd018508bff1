package coreserver

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/store"
)

// patience is how long one watcher may keep a hand waiting, which is when its connection takes no
// more, until another takes the place of that hand.
const patience = 10 * time.Millisecond

// tellers send thousands of watchers what they are to be told, by as many hands as there are CPUs. A
// watch has no goroutine that does: each would be woken at every change, and keep for an hour the
// stack that sending takes.
type tellers struct {
	mu    sync.Mutex
	all   []*watcher
	queue []*watcher
	hands int
}

// place is what the tellers know of a watcher, under their lock.
type place struct {
	at     int       // in all
	beat   time.Time // when it is told something in any case
	queued bool
	busy   bool // a hand has it
	again  bool // something came meanwhile
	// slow is one that once kept a hand waiting. It has a goroutine to itself whenever it is told.
	slow bool
}

// run has the watchers told of each change, and of each beat that is up to late overdue, until ctx
// ends.
func (t *tellers) run(ctx context.Context, history *store.History, late time.Duration) {
	ticks := time.NewTicker(max(late, time.Millisecond))
	defer ticks.Stop()
	moved := history.Moved()
	for {
		select {
		case <-moved:
			moved = history.Moved()
			t.call(func(*watcher) bool { return true })
		case now := <-ticks.C:
			t.call(func(w *watcher) bool { return !now.Before(w.place.beat) })
		case <-ctx.Done():
			return
		}
	}
}

// call queues those watchers that are wanted.
func (t *tellers) call(wanted func(*watcher) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.all {
		if wanted(w) {
			t.enqueue(w)
		}
	}
}

func (t *tellers) add(w *watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.place = place{at: len(t.all), beat: w.beat}
	t.all = append(t.all, w)
	t.enqueue(w) // for what changed since its first message
}

// remove returns when nothing is being sent to it, nor will be.
func (t *tellers) remove(w *watcher) {
	t.mu.Lock()
	last := len(t.all) - 1
	t.all[w.place.at] = t.all[last]
	t.all[w.place.at].place.at = w.place.at
	t.all[last] = nil
	t.all = t.all[:last]
	t.mu.Unlock()
	w.leave()
}

// enqueue is called under the lock.
func (t *tellers) enqueue(w *watcher) {
	switch {
	case w.place.queued:
	case w.place.busy:
		w.place.again = true
	case w.place.slow:
		w.place.busy = true
		go t.tell(w)
	default:
		w.place.queued = true
		t.queue = append(t.queue, w)
		if t.hands < runtime.GOMAXPROCS(0) {
			t.hands++
			go t.hand()
		}
	}
}

// hand tells one after the other until nobody is left.
func (t *tellers) hand() {
	var at *watcher
	relief := time.AfterFunc(time.Hour, func() {
		t.mu.Lock()
		at.place.slow = true
		t.mu.Unlock()
		t.hand()
	})
	defer relief.Stop()
	for w := t.take(); w != nil; w = t.take() {
		at = w
		relief.Reset(patience)
		t.tell(w)
		if !relief.Stop() {
			return // another has taken the place of this hand
		}
	}
}

// take is nil where the hand is needed no more.
func (t *tellers) take() *watcher {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.queue = nil
		t.hands--
		return nil
	}
	w := t.queue[0]
	t.queue = t.queue[1:]
	w.place.queued, w.place.busy = false, true
	return w
}

// tell has w, which is busy, told, and once more if something came meanwhile.
func (t *tellers) tell(w *watcher) {
	beat := w.tell(time.Now())
	t.mu.Lock()
	defer t.mu.Unlock()
	w.place.busy, w.place.beat = false, beat
	if w.place.again {
		w.place.again = false
		t.enqueue(w)
	}
}
