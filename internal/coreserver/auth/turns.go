package auth

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// turns bound the questions under way, in all and of each who asks: whoever has many tokens
// waits for himself.
type turns struct {
	total *semaphore.Weighted
	each  int64

	mu     sync.Mutex
	asking map[string]*queue
}

// queue is of those who ask under one name.
type queue struct {
	*semaphore.Weighted
	users int
}

func newTurns(total, each int64) *turns {
	return &turns{total: semaphore.NewWeighted(total), each: each, asking: map[string]*queue{}}
}

// take waits for a turn under every name, and then for one of all. release is to be called
// once.
func (t *turns) take(ctx context.Context, names ...string) (release func(), err error) {
	var held []func()
	release = func() {
		for _, let := range held {
			let()
		}
	}
	for _, name := range names {
		own := t.enter(name)
		if err := own.Acquire(ctx, 1); err != nil {
			t.leave(name)
			release()
			return nil, err
		}
		held = append(held, func() { own.Release(1); t.leave(name) })
	}
	if err := t.total.Acquire(ctx, 1); err != nil {
		release()
		return nil, err
	}
	held = append(held, func() { t.total.Release(1) })
	return release, nil
}

func (t *turns) enter(name string) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.asking[name]
	if own == nil {
		own = &queue{Weighted: semaphore.NewWeighted(t.each)}
		t.asking[name] = own
	}
	own.users++
	return own
}

func (t *turns) leave(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.asking[name]
	if own.users--; own.users == 0 {
		delete(t.asking, name)
	}
}
