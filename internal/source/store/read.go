package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	// keptFor is how long an answer is another pod's of the same identity too.
	keptFor = 5 * time.Second
	// keptBytes bounds what the answers kept take up, and overhead is what one takes besides
	// its value.
	keptBytes, overhead = 1 << 20, 256
	// readTimeout bounds a call with all of its attempts. It outlives whoever began it.
	readTimeout = 20 * time.Second
	// singlyFor is how long an identity that may not read batches is not asked to again.
	singlyFor = 10 * time.Minute
	// maxSingly is more than a node has identities.
	maxSingly = 1024
)

// reader reads a store's secrets, each once for all who ask at about the same time under one
// identity.
type reader struct {
	store Store
	door  *secretmanager.Door[Session]
	kept  *cache.Cache[secretmanager.Key, Result]
	// singly are the identities that may not read batches.
	singly *cache.Cache[secretmanager.Key, struct{}]

	mu       sync.Mutex
	underway map[secretmanager.Key]*reading
	calls    sync.WaitGroup
}

// reading is the call that will tell of one name. Its result is set once done is closed.
type reading struct {
	name   string
	key    secretmanager.Key
	done   chan struct{}
	result Result
}

func newReader(store Store, door *secretmanager.Door[Session]) *reader {
	return &reader{
		store: store, door: door,
		kept:     cache.New[secretmanager.Key, Result](keptBytes, nil),
		singly:   cache.New[secretmanager.Key, struct{}](maxSingly, nil),
		underway: map[secretmanager.Key]*reading{},
	}
}

// read returns what the store says of each name. A call that failed for want of a good token, or of
// room, may have failed for somebody else's: whoever joined it then tries with their own, once.
func (r *reader) read(ctx context.Context, caller secretmanager.Caller, names []string) (map[string]Result, error) {
	results, joined, err := r.readOnce(ctx, caller, names)
	if err == nil && len(joined) > 0 {
		var again map[string]Result
		if again, _, err = r.readOnce(ctx, caller, joined); err == nil {
			maps.Copy(results, again)
		}
	}
	return results, err
}

// readOnce also returns the names whose call was somebody else's, and its token refused or its room too small.
func (r *reader) readOnce(ctx context.Context, caller secretmanager.Caller, names []string) (results map[string]Result, refused []string, err error) {
	results = map[string]Result{}
	own, all := r.claim(caller, names, results)
	if len(own) > 0 {
		r.calls.Go(func() { r.readAll(context.WithoutCancel(ctx), caller, own) })
	}
	for _, one := range all {
		select {
		case <-ctx.Done():
			return nil, nil, &secretmanager.Failure{Kind: provider.ErrUnavailable, Text: "waiting for the store: " + context.Cause(ctx).Error()}
		case <-one.done:
			results[one.name] = one.result
		}
		isCallers := errors.Is(one.result.Err, provider.ErrUnauthenticated) || errors.Is(one.result.Err, provider.ErrTooLarge)
		if isCallers && !slices.Contains(own, one) {
			refused = append(refused, one.name)
		}
	}
	return results, refused, nil
}

// claim fills in what is known, and returns the readings to wait for, and those of them that the
// caller has to make.
func (r *reader) claim(caller secretmanager.Caller, names []string, results map[string]Result) (own, all []*reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		key := r.door.Key(caller, "secret", name)
		if result, found := r.kept.Get(key); found {
			results[name] = result
			continue
		}
		one := r.underway[key]
		if one == nil {
			one = &reading{name: name, key: key, done: make(chan struct{})}
			r.underway[key] = one
			own = append(own, one)
		}
		all = append(all, one)
	}
	return own, all
}

// readAll reads what was claimed, in as few calls as may be, at once.
func (r *reader) readAll(ctx context.Context, caller secretmanager.Caller, claimed []*reading) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if r.store.Batch() < 2 {
		atOnceEach(claimed, func(one *reading) { r.readAlone(ctx, caller, one) })
		return
	}
	parts := slices.Collect(slices.Chunk(claimed, r.store.Batch()))
	atOnceEach(parts, func(part []*reading) { r.readPart(ctx, caller, part) })
}

// readPart reads what one call may bring, and what that did not bring by calls of its own.
func (r *reader) readPart(ctx context.Context, caller secretmanager.Caller, claimed []*reading) {
	names := make([]string, len(claimed))
	for i, one := range claimed {
		names[i] = one.name
	}
	told := r.batch(ctx, caller, names)
	var left []*reading
	for _, one := range claimed {
		if result, found := told[one.name]; found {
			r.settle(one, result)
		} else {
			left = append(left, one)
		}
	}
	atOnceEach(left, func(one *reading) { r.readAlone(ctx, caller, one) })
}

// atOnceEach does it with each of them, the last in the goroutine that is there already, and waits for all.
func atOnceEach[T any](all []T, do func(T)) {
	var others sync.WaitGroup
	for i, one := range all {
		if i == len(all)-1 {
			do(one)
		} else {
			others.Go(func() { do(one) })
		}
	}
	others.Wait()
}

func (r *reader) readAlone(ctx context.Context, caller secretmanager.Caller, one *reading) {
	kept, err := secretmanager.Call(ctx, r.door, caller, "", func(ctx context.Context, session Session) (secret.Text, error) {
		return session.Read(ctx, one.name)
	})
	r.settle(one, Result{kept, err})
}

// batch reads several names by one call, if store and identity have that. An answer that is too
// large is asked for in halves.
func (r *reader) batch(ctx context.Context, caller secretmanager.Caller, names []string) map[string]Result {
	if len(names) < 2 {
		return nil
	}
	key := r.door.Key(caller, "singly")
	if _, singly := r.singly.Get(key); singly {
		return nil
	}
	told, err := secretmanager.Call(ctx, r.door, caller, "", func(ctx context.Context, session Session) (map[string]Result, error) {
		if batcher, can := session.(Batcher); can {
			return batcher.ReadBatch(ctx, names)
		}
		return nil, nil
	})
	var failure *secretmanager.Failure
	switch {
	case err == nil:
		return told
	case errors.As(err, &failure) && failure.TooLarge:
		told = map[string]Result{}
		maps.Copy(told, r.batch(ctx, caller, names[:len(names)/2]))
		maps.Copy(told, r.batch(ctx, caller, names[len(names)/2:]))
		return told
	case isOfEntry(err): // of the call, that is: the identity may read no batches, or the store has none
		r.singly.Put(key, struct{}{}, 1, singlyFor)
		return nil
	}
	told = map[string]Result{}
	for _, name := range names {
		told[name] = Result{Err: err}
	}
	return told
}

// settle keeps what is not worth asking again soon.
func (r *reader) settle(one *reading, result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one.result = result
	delete(r.underway, one.key)
	if isOfEntry(result.Err) {
		r.kept.Put(one.key, result, result.Kept.Len()+overhead, keptFor)
	}
	close(one.done)
}

// wait returns once no call is under way.
func (r *reader) wait() { r.calls.Wait() }
