package secretmanager

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	attempts     = 4
	firstBackoff = 200 * time.Millisecond
	maxPause     = 30 * time.Second
	// deadlineGrace is how long a call whose time is over may take to say so.
	deadlineGrace = 100 * time.Millisecond
	// pagesFor is how many times as long as others an attempt may take that asks for page after page.
	pagesFor = 8
)

type pagesKey struct{}

// InPages has attempts in the context last as long as many requests do. It is for calls of which something else
// bounds each request.
func InPages(ctx context.Context) context.Context { return context.WithValue(ctx, pagesKey{}, true) }

func (p *pace) timeout(ctx context.Context) time.Duration {
	if ctx.Value(pagesKey{}) != nil {
		return pagesFor * p.callTimeout
	}
	return p.callTimeout
}

const (
	// callsOfOne bounds the calls of one identity that are under way at a place: a place that
	// is silent to it keeps no other waiting for a turn. A pod of so many entries at a store that has no
	// batches waits as long as for one.
	callsOfOne = 16
	// callsShare is a namespace's, of the calls to a cloud that it leaves to others: one that
	// has many identities has half of all.
	callsShare = 1
)

// pace limits the calls to one store: so many at a time, and none to a place that wants
// to be left alone.
type pace struct {
	calls *turn.Queue
	// callTimeout is for one attempt.
	callTimeout time.Duration
	// prompt is set where a call ends with its context at the latest.
	prompt bool
	// called is told how each attempt ended.
	called  func(code string)
	outages *outages
	mu      sync.Mutex
	turns   map[outage.Scope]*turns    // where calls are under way, or wait for a turn
	until   map[outage.Scope]time.Time // those that have passed are dropped
}

// turns are those of one identity at a place.
type turns struct {
	slots chan struct{}
	users int
}

func newPace(atOnce int, callTimeout time.Duration) *pace {
	return &pace{
		calls: turn.New(int64(atOnce), callsShare), callTimeout: callTimeout, called: func(string) {},
		outages: newOutages(0), // a lost packet is enough for the first that fails
		turns:   map[outage.Scope]*turns{}, until: map[outage.Scope]time.Time{},
	}
}

func paceOf(config Config) *pace {
	made := newPace(config.CallsAtOnce, config.CallTimeout)
	made.called = config.Called
	return made
}

// repeat calls on behalf of the tenant of ctx until it succeeds, fails in a way that asking again does not mend, or has
// failed often enough. Where a place does not answer one call at a time goes on.
func repeat[T any](ctx context.Context, p *pace, at outage.Scope, call func(context.Context) (T, error)) (value T, err error) {
	for attempt := 1; attempt <= attempts; attempt++ {
		if attempt > 1 {
			p.slowDown(at, err, attempt-1)
			if !pause.Wait(ctx, backoff(attempt-1)) {
				return *new(T), err
			}
		}
		admitted, why := p.outages.admit(at)
		if why != nil {
			return *new(T), why
		}
		var verdict outage.Verdict
		verdict, value, err = once(ctx, p, at, call)
		if verdict == outage.Reached && attempt == attempts && !isThrottled(err) {
			verdict = outage.Unanswered
		}
		p.outages.called(admitted, verdict, err)
		if verdict == outage.Answered || verdict == outage.Undecided {
			return value, err
		}
	}
	return *new(T), err
}

func once[T any](ctx context.Context, p *pace, at outage.Scope, call func(context.Context) (T, error)) (outage.Verdict, T, error) {
	if !pause.Wait(ctx, p.pause(at)) {
		return outage.Undecided, *new(T), givenUp(ctx)
	}
	entered := p.enter(at)
	defer p.leave(at, entered)
	select {
	case entered.slots <- struct{}{}:
		defer func() { <-entered.slots }()
	case <-ctx.Done():
		return outage.Undecided, *new(T), givenUp(ctx)
	}
	leave, err := p.calls.Take(ctx, turn.Of(ctx), 1)
	if err != nil {
		return outage.Undecided, *new(T), givenUp(ctx)
	}
	defer leave()
	verdict, value, err := makeAttempt(ctx, p, call)
	p.called(codeOf(err))
	return verdict, value, err
}

func (p *pace) enter(at outage.Scope) *turns {
	p.mu.Lock()
	defer p.mu.Unlock()
	entered := p.turns[at]
	if entered == nil {
		entered = &turns{slots: make(chan struct{}, callsOfOne)}
		p.turns[at] = entered
	}
	entered.users++
	return entered
}

func (p *pace) leave(at outage.Scope, entered *turns) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if entered.users--; entered.users == 0 {
		delete(p.turns, at)
	}
}

// makeAttempt leaves a call that does not heed its deadline, as where an SDK waits for a lock. For others a goroutine
// that could be left would only cost.
func makeAttempt[T any](ctx context.Context, p *pace, call func(context.Context) (T, error)) (outage.Verdict, T, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout(ctx))
	defer cancel()
	if p.prompt {
		value, err := call(ctx)
		return verdictOf(ctx, err), value, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call(ctx)
		done <- result{value, err}
	}()
	select {
	case got := <-done:
		return verdictOf(ctx, got.err), got.value, got.err
	case <-ctx.Done():
	}
	// Whoever heeds the deadline has better words for it.
	timer := time.NewTimer(deadlineGrace)
	defer timer.Stop()
	select {
	case got := <-done:
		return verdictOf(ctx, got.err), got.value, got.err
	case <-timer.C:
		return outage.Unanswered, *new(T), Unreachable("waiting for the store")
	}
}

func verdictOf(ctx context.Context, err error) outage.Verdict {
	var failure *Failure
	switch {
	case !errors.Is(err, provider.ErrUnavailable):
		return outage.Answered
	case errors.As(err, &failure) && failure.Unreached:
		return outage.Unreachable
	case ctx.Err() != nil:
		return outage.Unanswered
	}
	return outage.Reached
}

func (p *pace) pause(at outage.Scope) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until[at])
}

// slowDown holds back every call of an identity to a place that throttled one.
func (p *pace) slowDown(at outage.Scope, err error, attempt int) {
	var failure *Failure
	if !errors.As(err, &failure) || !failure.Throttled {
		return
	}
	pause := max(failure.RetryAfter, backoff(attempt))
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(p.until, func(_ outage.Scope, until time.Time) bool { return !now.Before(until) })
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
