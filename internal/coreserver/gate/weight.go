// Package gate bounds what callers can make core spend before it is done with them: what is
// answered at once, and what strangers may keep open.
package gate

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// withoutLimit is what is answered at once where no limit of memory is known.
	withoutLimit = 256 << 20
	// least is enough for the largest answer there is.
	least = 16 << 20
	// patience is how long a call waits for its turn.
	patience = 5 * time.Second
)

// ErrBusy says that others' calls take all that core has.
var ErrBusy = errors.New("core is answering as much as it has memory for; ask again")

// ErrCrowd says that others' calls, which wait for core, take all that it has for such.
var ErrCrowd = errors.New("more wait for core than it has memory for; ask again")

// Weight bounds the bytes that calls take at once. A peer has half of them at most.
type Weight struct {
	size  int64
	total *semaphore.Weighted

	mu    sync.Mutex
	peers map[string]*share
}

// share is one peer's.
type share struct {
	*semaphore.Weighted
	users int
}

// NewWeight reckons with a quarter of the memory that core may take, which is 0 where that
// is not known: garbage takes as much again, and the files and connections the rest.
func NewWeight(memory int64) *Weight {
	size := int64(withoutLimit)
	if memory > 0 {
		size = max(memory/4, least)
	}
	return &Weight{size: size, total: semaphore.NewWeighted(size), peers: map[string]*share{}}
}

// Acquire waits until bytes are free, and returns what frees them again, once. More than
// a peer's share counts as all of it.
func (w *Weight) Acquire(ctx context.Context, peer string, bytes int64) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, ErrBusy)
	defer cancel()
	return w.Await(ctx, peer, bytes)
}

// Try is Acquire for one who does not wait; nil where others take what there is.
func (w *Weight) Try(peer string, bytes int64) (release func()) {
	bytes = min(bytes, w.size/2)
	own := w.enter(peer)
	if !own.TryAcquire(bytes) {
		w.leave(peer)
		return nil
	}
	if !w.total.TryAcquire(bytes) {
		own.Release(bytes)
		w.leave(peer)
		return nil
	}
	return w.releaser(own, peer, bytes)
}

// Await is Acquire for one who waits as long as ctx.
func (w *Weight) Await(ctx context.Context, peer string, bytes int64) (release func(), err error) {
	bytes = min(bytes, w.size/2)
	own := w.enter(peer)
	if err := own.Acquire(ctx, bytes); err != nil {
		w.leave(peer)
		return nil, context.Cause(ctx)
	}
	if err := w.total.Acquire(ctx, bytes); err != nil {
		own.Release(bytes)
		w.leave(peer)
		return nil, context.Cause(ctx)
	}
	return w.releaser(own, peer, bytes), nil
}

func (w *Weight) releaser(own *share, peer string, bytes int64) func() {
	return sync.OnceFunc(func() {
		w.total.Release(bytes)
		own.Release(bytes)
		w.leave(peer)
	})
}

func (w *Weight) enter(peer string) *share {
	w.mu.Lock()
	defer w.mu.Unlock()
	own := w.peers[peer]
	if own == nil {
		own = &share{Weighted: semaphore.NewWeighted(w.size / 2)}
		w.peers[peer] = own
	}
	own.users++
	return own
}

func (w *Weight) leave(peer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	own := w.peers[peer]
	if own.users--; own.users == 0 {
		delete(w.peers, peer)
	}
}
