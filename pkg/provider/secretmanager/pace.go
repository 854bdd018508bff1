package secretmanager

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	attempts     = 4
	firstBackoff = 200 * time.Millisecond
	maxPause     = 30 * time.Second
)

// spot is a project, region or vault, by which clouds count calls, as a namespace sees it:
// the quota may also be that of the identity that was worn out on the way there, so that
// whoever is told to wait is to keep no other namespace waiting.
type spot struct{ namespace, place string }

// pace limits the calls to one cloud: so many at a time, and none to a spot that wants to
// be left alone.
type pace struct {
	slots chan struct{}
	// patience is for one attempt.
	patience time.Duration
	outages  outages
	mu       sync.Mutex
	until    map[spot]time.Time // those that have passed are dropped
}

func newPace(atOnce int, patience time.Duration) *pace {
	return &pace{slots: make(chan struct{}, atOnce), patience: patience, until: map[spot]time.Time{}}
}

// try runs call until it succeeds, fails in a way that asking again does not mend, or
// has failed often enough. Where a place does not answer one call alone goes on.
func (p *pace) try(ctx context.Context, at spot, call func(context.Context) error) error {
	probe, why := p.outages.admit(at.place)
	if why != nil {
		return why
	}
	for attempt := 1; ; attempt++ {
		outcome, err := p.once(ctx, at, call)
		switch {
		case outcome == answered || outcome == notAsked:
			probe.over(outcome == answered)
			return err
		case attempt == attempts || ctx.Err() != nil:
			probe.end(err)
			return err
		case outcome == silent && !probe.silent(err):
			return err
		}
		p.slowDown(at, err, attempt)
		if !sleep(ctx, backoff(attempt)) {
			probe.end(err)
			return err
		}
	}
}

// outcome is what an attempt says of the place.
type outcome int

const (
	answered outcome = iota
	unavailable
	silent   // unavailable, for it let the time pass
	notAsked // it says nothing
)

func (p *pace) once(ctx context.Context, at spot, call func(context.Context) error) (outcome, error) {
	if !sleep(ctx, p.pause(at)) {
		return notAsked, givenUp(ctx)
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
		return p.attempt(ctx, call)
	case <-ctx.Done():
		return notAsked, givenUp(ctx)
	}
}

func (p *pace) attempt(ctx context.Context, call func(context.Context) error) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	err := call(ctx)
	switch {
	case !errors.Is(err, provider.ErrUnavailable):
		return answered, err
	case ctx.Err() != nil:
		return silent, err
	}
	return unavailable, err
}

func (p *pace) pause(at spot) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until[at])
}

// slowDown holds back every call to a spot that throttled one.
func (p *pace) slowDown(at spot, err error, attempt int) {
	var failure *Failure
	if !errors.As(err, &failure) || !failure.Throttled {
		return
	}
	pause := max(failure.RetryAfter, backoff(attempt))
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(p.until, func(_ spot, until time.Time) bool { return !now.Before(until) })
	if until := now.Add(min(pause, maxPause)); until.After(p.until[at]) {
		p.until[at] = until
	}
}

// backoff doubles with each attempt and lies anywhere in the upper half, so that nodes
// which failed together do not come back together.
func backoff(attempt int) time.Duration {
	longest := firstBackoff << (attempt - 1)
	return longest/2 + rand.N(longest/2)
}

// sleep says whether it slept to the end.
func sleep(ctx context.Context, length time.Duration) bool {
	if length <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
