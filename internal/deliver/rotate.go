package deliver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// watchRetry is how often to see whether the provider has learnt to be watched.
const watchRetry = 5 * time.Minute

// Run keeps the live volumes fresh until ctx ends: it fetches again what a provider's
// watch says has changed, and polls where there is no watch.
func (d *Deliverer) Run(ctx context.Context) error {
	var owned sync.WaitGroup
	defer owned.Wait()
	defer context.AfterFunc(ctx, d.set.endAll)()
	for _, name := range d.Fetcher.Sources() {
		if source, _ := d.Fetcher.Source(name); source.IsWatched {
			owned.Go(func() { d.watch(ctx, name) })
		}
	}
	owned.Go(func() { d.measureLeft(ctx) })
	for {
		groups, wait := d.set.takeDue(time.Now())
		for _, group := range groups {
			owned.Go(func() { _ = d.deliver(ctx, group) }) // which has reported it
		}
		_ = d.guard.Run(report.Volume{}, func() error { d.reportStale(ctx, &owned); return nil }) // it is logged
		if !d.sleep(ctx, wait) {
			return nil
		}
	}
}

// FetcherReturned has all looked at soon that waits for an answer: the half that asks is there again.
func (d *Deliverer) FetcherReturned() {
	d.replan(func(plan *schedule.Schedule) {
		plan.Returned(time.Now())
		d.set.stir()
	})
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
func (d *Deliverer) watch(ctx context.Context, name string) {
	var refusing atomic.Bool
	for ; ctx.Err() == nil; pause.Wait(ctx, watchRetry) {
		if !refusing.Load() {
			d.replan(func(plan *schedule.Schedule) { plan.WatchBegan(name) })
		}
		err := d.guard.Run(report.Volume{Source: name}, func() error {
			return d.Fetcher.Watch(ctx, name, func(change seam.Change) {
				refusing.Store(false)
				d.replan(func(plan *schedule.Schedule) { plan.Notified(name, schedule.Change(change), time.Now()) })
			})
		})
		unsupported, refused := errors.Is(err, call.ErrWatchUnsupported), refusing.Load()
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
	return errors.Is(err, call.ErrUnavailable) || errors.Is(err, call.ErrDenied) ||
		errors.Is(err, call.ErrUnauthenticated) ||
		errors.Is(err, call.ErrProtocol) || errors.Is(err, call.ErrTooLarge)
}
