package deliver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// watchRetry is how often to see whether the provider has learnt to be watched.
const watchRetry = 5 * time.Minute

// Run keeps the live volumes fresh until ctx ends: it fetches again what a provider's
// watch says has changed, and polls where there is no watch.
func (d *Deliverer) Run(ctx context.Context) error {
	var owned sync.WaitGroup
	defer owned.Wait()
	defer context.AfterFunc(ctx, d.set.endAll)()
	for name, source := range d.Providers {
		if watcher, ok := source.(provider.Watcher); ok {
			owned.Go(func() { d.watch(ctx, name, watcher) })
		}
	}
	owned.Go(func() { d.measureLeft(ctx) })
	for {
		groups, wait := d.set.takeDue(time.Now())
		for _, group := range groups {
			owned.Go(func() { d.deliver(ctx, group) })
		}
		_ = d.guard.run(Volume{}, func() error { d.reportStale(ctx, &owned); return nil }) // it is logged
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
	for ; ctx.Err() == nil; pause.Wait(ctx, watchRetry) {
		if !refusing.Load() {
			d.replan(func(plan *schedule.Schedule) { plan.WatchBegan(name) })
		}
		err := d.guard.run(Volume{Provider: name}, func() error {
			return watcher.Watch(ctx, func(change provider.Change) {
				refusing.Store(false)
				d.replan(func(plan *schedule.Schedule) { plan.Notified(name, schedule.Change(change), time.Now()) })
			})
		})
		unsupported, refused := errors.Is(err, provider.ErrWatchUnsupported), refusing.Load()
		d.replan(func(plan *schedule.Schedule) { plan.WatchEnded(name, !unsupported || !refused, time.Now()) })
		switch {
		case ctx.Err() != nil:
			return
		case !unsupported:
			d.Log.Warn("watch ended", logkey.Source, name, logkey.Error, err)
		case !refused:
			d.Log.Info("polling for changes, since the source cannot be watched", logkey.Source, name, logkey.Error, err)
		}
		if unsupported && !isForNow(err) {
			return
		}
		refusing.Store(unsupported)
	}
}

// replan changes the schedule, and has the loop look what is due now.
func (d *Deliverer) replan(do func(plan *schedule.Schedule)) {
	d.set.plan(do)
	d.trigger()
}

// isForNow tells a watch that was refused from one that there is not.
func isForNow(err error) bool {
	return errors.Is(err, provider.ErrUnavailable) || errors.Is(err, provider.ErrDenied) ||
		errors.Is(err, provider.ErrUnauthenticated) ||
		errors.Is(err, provider.ErrProtocol) || errors.Is(err, provider.ErrTooLarge)
}
