package store

import (
	"slices"
	"sync"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
)

// What a History remembers at most. Whoever fell further behind is told everything.
const (
	maxSteps = 256
	maxNames = 1 << 16
	maxBytes = 4 << 20 // of the names, and of who may read them
)

// History holds the newest snapshot and what lately changed. Watchers keep nothing in
// it but their own Position, so that neither their number nor their slowness costs it
// anything.
type History struct {
	mu       sync.Mutex
	current  *Snapshot
	position Position
	recent   []step // oldest first; the last led to current
	names    int    // in recent, together
	bytes    int    // that they take
	moved    chan struct{}

	maxSteps, maxNames int
}

// Position is a place in this process's history. The zero Position is before all of it.
type Position uint64

type step struct {
	to       Position
	revision string
	changed  []Change
	bytes    int
}

// newHistory begins with first.
func newHistory(first *Snapshot) *History {
	return &History{
		current: first, position: 1, recent: []step{{to: 1, revision: first.Revision}},
		moved: make(chan struct{}), maxSteps: maxSteps, maxNames: maxNames,
	}
}

// Current is the newest snapshot.
func (h *History) Current() *Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current
}

// Publish makes next the newest, and wakes the watchers if they can see a difference.
func (h *History) Publish(next *Snapshot) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.current
	next.adopt(before)
	h.current = next
	if next.Revision == before.Revision {
		return false
	}
	changed := next.changedSince(before)
	h.position++
	h.recent = append(h.recent, step{h.position, next.Revision, changed, sizeOf(changed)})
	h.names += len(changed)
	h.bytes += h.recent[len(h.recent)-1].bytes
	h.forget()
	close(h.moved)
	h.moved = make(chan struct{})
	return true
}

// forget drops the oldest steps beyond the bounds, but never the last.
func (h *History) forget() {
	drop := 0
	for rest := len(h.recent); rest > 1 && (rest > h.maxSteps || h.names > h.maxNames || h.bytes > maxBytes); rest-- {
		h.names -= len(h.recent[drop].changed)
		h.bytes -= h.recent[drop].bytes
		drop++
	}
	h.recent = slices.Delete(h.recent, 0, drop)
}

// sizeOf is about what changes keep in memory: many are for readers who are the same.
func sizeOf(changes []Change) (bytes int) {
	seen := map[*rule.Access]bool{nil: true}
	for _, change := range changes {
		bytes += len(change.Name.ID)
		for _, readers := range []*rule.Access{change.before, change.after, change.shared} {
			if !seen[readers] {
				seen[readers] = true
				bytes += readers.Size()
			}
		}
	}
	return bytes
}

// Locate finds where a watcher that knows revision stands; 0 where nobody remembers.
func (h *History) Locate(revision string) Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, step := range slices.Backward(h.recent) {
		if step.revision == revision {
			return step.to
		}
	}
	return 0
}

// Update is what a watcher has to learn to be at Position.
type Update struct {
	Position Position
	Snapshot *Snapshot
	// Resync is set where what changed is not known: everything counts.
	Resync bool
	// Changed lists, without Resync, what changed, as often as it did.
	Changed []Change
}

// Moved is closed when there is something newer.
func (h *History) Moved() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.moved
}

// Since tells what happened after position, all of it at once.
func (h *History) Since(position Position) Update {
	h.mu.Lock()
	defer h.mu.Unlock()
	update := Update{Position: h.position, Snapshot: h.current}
	if position == h.position {
		return update
	}
	if position == 0 || position+1 < h.recent[0].to {
		update.Resync = true
		return update
	}
	for i, step := range h.recent {
		if step.to <= position {
			continue
		}
		if i == len(h.recent)-1 && update.Changed == nil {
			update.Changed = step.changed // of which watchers by the thousand make no copies
			break
		}
		update.Changed = append(update.Changed, step.changed...)
	}
	return update
}
