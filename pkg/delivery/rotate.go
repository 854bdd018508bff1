package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// rotationWorkers bounds the fetches of rotations that are under way at once, for each
	// provider: one that is slow holds up no other. A Publish does not wait for them: a new
	// pod comes before a refresh.
	rotationWorkers = 8
	// maxIdle is how long the loop sleeps at most.
	maxIdle = time.Hour
	// safetyPoll is how often a volume is fetched again though a watch would tell.
	safetyPoll = 10 * time.Minute
	// maxQuietPoll is how far polling slows down while nothing changes.
	maxQuietPoll = 5 * time.Minute
	// staleAfter is how old a confirmation may grow: a look that comes as late as it may,
	// and fails once.
	staleAfter = 15 * time.Minute
	// watchRetry is how often to see whether the provider has learnt to be watched.
	watchRetry = 5 * time.Minute
	// resyncSpread is over how long the volumes look again after a gap in the watch, or
	// once a provider can be asked again.
	resyncSpread = 5 * time.Second
	maxBackoff   = time.Minute
	// leastRest and mostRest are how long a volume rests after news that changed nothing.
	leastRest = 10 * time.Millisecond
	mostRest  = time.Second
)

// Run keeps the live volumes fresh until ctx ends: it fetches again what a provider's
// watch says has changed, and polls where there is no watch.
func (d *Deliverer) Run(ctx context.Context) error {
	var owned sync.WaitGroup
	defer owned.Wait()
	for name, source := range d.Providers {
		if watcher, ok := source.(provider.Watcher); ok {
			owned.Go(func() { d.watch(ctx, name, watcher) })
		}
	}
	for {
		groups, wait := d.set.takeDue(time.Now(), d.reach.turn)
		for _, group := range groups {
			owned.Go(func() { d.deliver(ctx, rotating, group) })
		}
		_ = d.guard(Volume{}, func() error { d.tellStale(); return nil }) // it is logged
		if !d.sleep(ctx, wait) {
			return nil
		}
	}
}

// sleep waits for a wake-up or for the time to pass; false once ctx has ended.
func (d *Deliverer) sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-d.wake:
	case <-timer.C:
	}
	return true
}

// trigger wakes the loop. The channel has one slot and carries no data: it means "look
// again", so bursts collapse.
func (d *Deliverer) trigger() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// watch turns a provider's changes into due volumes for as long as it can be watched. What
// cannot be watched is not watched again; what refuses for now is, without a word, and is
// polled until it tells of something.
func (d *Deliverer) watch(ctx context.Context, name string, watcher provider.Watcher) {
	var refusing atomic.Bool
	for ; ctx.Err() == nil; d.sleepFor(ctx, watchRetry) {
		d.watched.Store(name, !refusing.Load())
		err := d.guard(Volume{Provider: name}, func() error {
			return watcher.Watch(ctx, func(change provider.Change) {
				d.watched.Store(name, true)
				refusing.Store(false)
				d.reach.hasten(name)
				d.set.markChanged(name, change, spread(change))
				d.trigger()
			})
		})
		d.watched.Store(name, false)
		unsupported, refused := errors.Is(err, provider.ErrWatchUnsupported), refusing.Load()
		switch {
		case ctx.Err() != nil:
			return
		case !unsupported:
			d.Log.Warn("watch ended", logkey.Provider, name, logkey.Error, err)
		case !refused:
			d.Log.Info("polling for changes, since the provider cannot be watched", logkey.Provider, name, logkey.Error, err)
		}
		if !unsupported || !refused {
			// What changed from here on, nobody will tell.
			d.set.markChanged(name, provider.Change{All: true}, d.PollEvery)
			d.trigger()
		}
		if unsupported && !isForNow(err) {
			return
		}
		refusing.Store(unsupported)
	}
}

// isForNow tells a watch that was refused from one that there is not.
func isForNow(err error) bool {
	return errors.Is(err, provider.ErrUnavailable) || errors.Is(err, provider.ErrDenied) ||
		errors.Is(err, provider.ErrUnauthenticated) || errors.Is(err, provider.ErrProtocol)
}

func (*Deliverer) sleepFor(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// spread lets a change of single entries through at once, and all volumes of a node
// look again over a while.
func spread(change provider.Change) time.Duration {
	if change.All {
		return resyncSpread
	}
	return 0
}

// next is how long after a delivery to look again, but for jitter.
func (d *Deliverer) next(spec Volume, failures, quiet int) time.Duration {
	watched, _ := d.watched.Load(spec.Provider)
	switch {
	case failures > 0:
		return backoff(failures - 1)
	case spec.Refresh > 0:
		return spec.Refresh
	case watched == true:
		return safetyPoll
	default:
		return min(max(d.PollEvery, maxQuietPoll), d.PollEvery<<min(quiet, 10))
	}
}

// staleAfter is how old the volume's last confirmation may grow before its readers
// should doubt it.
func (d *Deliverer) staleAfter(spec Volume) time.Duration {
	return max(staleAfter, 2*spec.Refresh, 2*d.PollEvery)
}

func backoff(failures int) time.Duration {
	return min(maxBackoff, time.Second<<min(failures, 10))
}

// jitter is the duration, a tenth more or less, so that volumes do not march in step.
func jitter(base time.Duration) time.Duration {
	return earliest(base) + rand.N(base/5+1)
}

// earliest is the least that jitter returns.
func earliest(base time.Duration) time.Duration { return base - base/10 }

// halfJitter is between half of base and all of it: nodes that lost a provider at the
// same instant drift apart.
func halfJitter(base time.Duration) time.Duration { return base/2 + rand.N(base/2+1) }
