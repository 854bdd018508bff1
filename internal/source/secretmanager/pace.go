package secretmanager

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	attempts     = 4
	firstBackoff = 200 * time.Millisecond
	maxPause     = 30 * time.Second
	// lastWords is how long a call whose time is over may take to say so.
	lastWords = 100 * time.Millisecond
)

// callsOfOne bounds the calls of one identity that are under way at a place: a place that
// is silent to it keeps no other waiting for a turn.
const callsOfOne = 8

// pace limits the calls to one cloud: so many at a time, and none to a spot that wants to
// be left alone.
type pace struct {
	slots chan struct{}
	// patience is for one attempt.
	patience time.Duration
	outages  outages
	mu       sync.Mutex
	lanes    map[spot]*lane     // of spots where calls are under way, or wait for a turn
	until    map[spot]time.Time // those that have passed are dropped
}

// lane holds the turns of one spot.
type lane struct {
	slots chan struct{}
	users int
}

func newPace(atOnce int, patience time.Duration) *pace {
	return &pace{slots: make(chan struct{}, atOnce), patience: patience, lanes: map[spot]*lane{}, until: map[spot]time.Time{}}
}

// call is one attempt, which returns what it was made for.
type call func(context.Context) (secret.Text, error)

// try calls until it succeeds, fails in a way that asking again does not mend, or has
// failed often enough. Where a spot does not answer one call at a time goes on.
func (p *pace) try(ctx context.Context, at spot, call call) (value secret.Text, err error) {
	for attempt := 1; attempt <= attempts; attempt++ {
		if attempt > 1 {
			p.slowDown(at, err, attempt-1)
			if !pause.Wait(ctx, backoff(attempt-1)) {
				return secret.Text{}, err
			}
		}
		probe, why := p.outages.admit(at)
		if why != nil {
			return secret.Text{}, why
		}
		var found outcome
		found, value, err = p.once(ctx, at, call)
		probe.end(found, err)
		if found == answered || found == notAsked {
			return value, err
		}
	}
	if !isThrottled(err) {
		p.outages.giveUp(at, err)
	}
	return secret.Text{}, err
}

// outcome is what an attempt says of the spot.
type outcome int

const (
	answered outcome = iota
	unavailable
	silent    // unavailable, for it let the time pass
	unreached // nobody is there, for any identity
	notAsked  // it says nothing
)

func (p *pace) once(ctx context.Context, at spot, call call) (outcome, secret.Text, error) {
	if !pause.Wait(ctx, p.pause(at)) {
		return notAsked, secret.Text{}, givenUp(ctx)
	}
	lane := p.enter(at)
	defer p.leave(at, lane)
	for _, slots := range []chan struct{}{lane.slots, p.slots} {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return notAsked, secret.Text{}, givenUp(ctx)
		}
	}
	return p.attempt(ctx, call)
}

func (p *pace) enter(at spot) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	entered := p.lanes[at]
	if entered == nil {
		entered = &lane{slots: make(chan struct{}, callsOfOne)}
		p.lanes[at] = entered
	}
	entered.users++
	return entered
}

func (p *pace) leave(at spot, entered *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if entered.users--; entered.users == 0 {
		delete(p.lanes, at)
	}
}

// attempt leaves a call that does not heed its deadline, as where an SDK waits for a lock.
func (p *pace) attempt(ctx context.Context, call call) (outcome, secret.Text, error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	type result struct {
		value secret.Text
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call(ctx)
		done <- result{value, err}
	}()
	select {
	case got := <-done:
		return outcomeOf(ctx, got.err), got.value, got.err
	case <-ctx.Done():
	}
	// Whoever heeds the deadline has better words for it.
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case got := <-done:
		return outcomeOf(ctx, got.err), got.value, got.err
	case <-timer.C:
		return silent, secret.Text{}, Unreachable("waiting for the secret manager")
	}
}

func outcomeOf(ctx context.Context, err error) outcome {
	var failure *Failure
	switch {
	case !errors.Is(err, provider.ErrUnavailable):
		return answered
	case errors.As(err, &failure) && failure.Unreached:
		return unreached
	case ctx.Err() != nil:
		return silent
	}
	return unavailable
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

func isThrottled(err error) bool {
	var failure *Failure
	return errors.As(err, &failure) && failure.Throttled
}

// backoff doubles with each attempt and lies anywhere in the upper half, so that nodes
// which failed together do not come back together.
func backoff(attempt int) time.Duration {
	longest := firstBackoff << (attempt - 1)
	return pause.Jittered(longest)
}
