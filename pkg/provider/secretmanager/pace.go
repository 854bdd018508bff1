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

// pace limits the calls to one cloud: so many at a time, and none to a place that wants
// to be left alone. Clouds count calls by project, region and vault, and whoever wears one
// out is to keep nobody from the others.
type pace struct {
	slots chan struct{}
	mu    sync.Mutex
	until map[string]time.Time // by place; those that have passed are dropped
}

func newPace(atOnce int) *pace {
	return &pace{slots: make(chan struct{}, atOnce), until: map[string]time.Time{}}
}

// try runs call until it succeeds, fails in a way that asking again does not mend, or
// has failed often enough.
func (p *pace) try(ctx context.Context, place string, call func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := p.once(ctx, place, call)
		if !errors.Is(err, provider.ErrUnavailable) || attempt == attempts || ctx.Err() != nil {
			return err
		}
		p.slowDown(place, err, attempt)
		if !sleep(ctx, backoff(attempt)) {
			return err
		}
	}
}

func (p *pace) once(ctx context.Context, place string, call func(context.Context) error) error {
	if !sleep(ctx, p.pause(place)) {
		return givenUp(ctx)
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
		return call(ctx)
	case <-ctx.Done():
		return givenUp(ctx)
	}
}

func (p *pace) pause(place string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until[place])
}

// slowDown holds back every call to a place that throttled one.
func (p *pace) slowDown(place string, err error, attempt int) {
	var failure *Failure
	if !errors.As(err, &failure) || !failure.Throttled {
		return
	}
	pause := max(failure.RetryAfter, backoff(attempt))
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(p.until, func(_ string, until time.Time) bool { return !now.Before(until) })
	if until := now.Add(min(pause, maxPause)); until.After(p.until[place]) {
		p.until[place] = until
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
