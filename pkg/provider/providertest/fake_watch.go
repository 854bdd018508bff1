package providertest

import (
	"context"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Notify hands change to every Watch that is under way.
func (f *Fake) Notify(change provider.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, notify := range f.watches {
		notify(change)
	}
}

// Watching is closed once a Watch is under way.
func (f *Fake) Watching() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.watches) > 0 {
		begun := make(chan struct{})
		close(begun)
		return begun
	}
	return f.watching
}

// Watch implements provider.Watcher.
func (f *Fake) Watch(ctx context.Context, notify func(provider.Change)) error {
	f.mu.Lock()
	if f.blind {
		f.mu.Unlock()
		return provider.ErrWatchUnsupported
	}
	id := f.nextID
	f.nextID++
	f.watches[id] = notify
	close(f.watching)
	f.watching = make(chan struct{})
	f.mu.Unlock()

	<-ctx.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.watches, id)
	return ctx.Err()
}
