package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/internal/seam"
)

const (
	// awaitFor is how long the publish of a new volume waits for a source that is known to be away, or for
	// the half that asks, which kubelet starts again later and later if it ends often.
	// Kubelet takes nothing of that pod away meanwhile, and shows its author nothing new.
	awaitFor = 30 * time.Second
	// awaitingAtOnce bounds the publishes of the node that wait so: each keeps a connection of kubelet's,
	// about 80 KiB. A namespace may have awaitingShare times as many as it leaves, so that one alone has
	// 120: all pods of a node.
	awaitingAtOnce, awaitingShare = 160, 3
)

// deliverAwaiting makes a volume that a pod waits for. If a source is known to be away, or nobody is there
// to ask it, it waits until that is over: kubelet would try again later and later, up to two minutes after
// a failure. Nothing but the call itself is kept meanwhile. Of all that wait for a source, one at a time
// finds out, twice a second.
func (d *Deliverer) deliverAwaiting(ctx context.Context, v *volume, namespace string) error {
	if !d.Fetcher.IsThere() { // a call would wait for it, too, and reserve memory that those have to do without who come next
		return d.awaitAnswer(ctx, v, namespace, nil)
	}
	known := d.set.isAway(v)
	err := d.deliverNew(ctx, d.set.begin(v)) // which reports the outage, and may make do with what is remembered
	if !isAway(err) || !known && !errors.Is(err, seam.ErrAway) {
		return err
	}
	return d.awaitAnswer(ctx, v, namespace, err)
}

// awaitAnswer waits until the volume's sources can be asked, and makes it then. err is why they could not; nil
// if nobody has tried.
func (d *Deliverer) awaitAnswer(ctx context.Context, v *volume, namespace string, err error) error {
	leave, entered := d.enterWaiting(ctx, namespace)
	if !entered {
		return d.giveUp(ctx, v, err)
	}
	defer leave()
	until := d.awaitUntil(ctx)
	for first := true; first || isAway(err) && (errors.Is(err, seam.ErrAway) || d.set.isAway(v)); first = false { // or what a reference leads to is away
		again := time.Now()
		if errors.Is(err, seam.ErrAway) { // who hangs up on every call is not called without pause
			again = again.Add(schedule.UrgentPause)
		}
		tasks := d.waitToAsk(ctx, v, again, until)
		if tasks == nil {
			return d.giveUp(ctx, v, err)
		}
		err = d.deliverNew(ctx, tasks)
	}
	return err
}

// giveUp returns why the volume is not made for now, which is reported; err is what was before, if anything.
func (d *Deliverer) giveUp(ctx context.Context, v *volume, err error) error {
	if err == nil {
		tasks := d.set.begin(v)
		err = d.fill(ctx, tasks, failedAnswers(tasks, seam.ErrGone))
	}
	return orGivenUp(ctx, err)
}

// isAway reports whether a delivery failed for want of an answer.
func isAway(err error) bool {
	failure := (*report.Error)(nil)
	return errors.As(err, &failure) && failure.Reason == report.Unavailable
}

// enterWaiting counts one more publish that waits, unless its namespace has as many as it may.
func (d *Deliverer) enterWaiting(ctx context.Context, namespace string) (leave func(), entered bool) {
	now, cancel := context.WithCancel(ctx)
	cancel()
	leave, err := d.awaiting.Take(now, namespace, 1)
	return leave, err == nil
}

// awaitUntil leaves of the caller's time what a fetch may take.
func (d *Deliverer) awaitUntil(ctx context.Context) time.Time {
	until := time.Now().Add(awaitFor)
	if deadline, has := ctx.Deadline(); has {
		if latest := deadline.Add(-d.caller.longestFetch()); latest.Before(until) {
			return latest
		}
	}
	return until
}

// waitToAsk begins the delivery of the volume as soon as its sources may be asked, from the time again on.
// It returns nil once nobody waits for the volume any more, or nobody should.
func (d *Deliverer) waitToAsk(ctx context.Context, v *volume, again, until time.Time) []task {
	for left := time.Until(until); left > 0; left = time.Until(until) {
		tasks, wait, news := d.set.beginAdmitted(v, again, time.Now())
		if tasks != nil || news == nil {
			return tasks
		}
		timer := time.NewTimer(min(wait, left))
		select {
		case <-news:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
	return nil
}

// beginAdmitted starts the delivery of all shares of a new volume, each with its call, if their
// sources may be asked, from the time again on. Otherwise it tells how long until they may be, and returns
// what is closed when there are news; nil if there is nothing to wait for.
func (s *set) beginAdmitted(v *volume, again, now time.Time) (tasks []task, wait time.Duration, news <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.gone || s.ending {
		return nil, 0, nil
	}
	if wait = again.Sub(now); !s.config.Fetcher.IsThere() {
		wait = max(wait, awaitFor) // or until there are news
	}
	for _, one := range v.shares {
		wait = max(wait, s.schedule.UrgentWait(one.source, one.of.spec.Pod.Namespace, now))
	}
	if wait > 0 {
		if s.news == nil {
			s.news = make(chan struct{})
		}
		return nil, wait, s.news
	}
	tasks = s.beginAll(v)
	for i, t := range tasks {
		if call, err := s.schedule.Admit(t.spec.Provider, t.spec.Pod.Namespace, true, now); err == nil {
			tasks[i].admitted = &call
		}
	}
	return tasks, 0, nil
}

// giveBack ends the calls that were admitted and not made.
func (s *set) giveBack(tasks []task) {
	for _, t := range tasks {
		if t.admitted != nil {
			s.called(*t.admitted, outage.Undecided, nil)
		}
	}
}

// called takes in how a call ended, and reports whether that is news.
func (s *set) called(call outage.Call, verdict outage.Verdict, why error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.stir()
	return s.schedule.Called(call, verdict, why, time.Now())
}

// isAway reports whether a source of the volume is known to be away.
func (s *set) isAway(v *volume) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range v.shares {
		if s.schedule.WhyAway(one.source, one.of.spec.Pod.Namespace, time.Now()) != nil {
			return true
		}
	}
	return false
}

// endAll ends the waiting of all publishes, for good.
func (s *set) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	s.stir()
}

// stir wakes whoever waits for news.
func (s *set) stir() {
	if s.news != nil {
		close(s.news)
		s.news = nil
	}
}
