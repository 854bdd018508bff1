package deliver

import (
	"context"
	"errors"
	"sync"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

const (
	// podsAtOnce bounds the calls of one group that are under way at once, where a source
	// takes one pod at a time, and idsAtOnce what they ask for: a source may need as many
	// calls, and of many pods at once none would come to an end.
	podsAtOnce, idsAtOnce = 16, 1000
	// idsOfAll is taken for what "*" asks for.
	idsOfAll = 250
)

func podsAtOnceFor(spec Volume) int {
	ids := spec.IDs()
	for _, wanted := range spec.wanted() {
		if wanted.All {
			ids += idsOfAll
		}
	}
	return max(1, min(podsAtOnce, idsAtOnce/max(1, ids)))
}

// ask makes one call for the whole group within a reservation: that which a new volume has for all
// of its sources, or one of its own. told learns how the call ended, once.
func (c *caller) ask(ctx context.Context, group []task, told func(errs []error), hand func(int, answer)) {
	if in := group[0].reserved; in != nil {
		if c.askWithin(ctx, &taker{caller: c, group: group, in: in, told: told, hand: hand}) {
			hand(0, answer{seam.Answer{Err: seam.ErrOutgrown}, in})
		}
		return
	}
	for size := c.first(group); ; size = c.sizes.next(group, size) {
		in, err := c.reserve(ctx, group[0].spec, size, 1)
		if err != nil {
			(&taker{caller: c, group: group, told: told, hand: hand}).end(err)
			return
		}
		if !c.askWithin(ctx, &taker{caller: c, group: group, in: in, isOwn: true, told: told, hand: hand}) {
			return
		}
	}
}

// askWithin makes one call, and reports whether it is to be made again with more memory. A
// reservation of its own it gives back, whatever happens.
func (c *caller) askWithin(ctx context.Context, t *taker) (isOutgrown bool) {
	if t.isOwn {
		defer t.in.Leave()
		t.in.least = c.least(t.group, t.in)
	}
	err := c.guard.Run(subject(t.group[0].spec), func() error {
		return c.Fetcher.Fetch(ctx, c.workOf(t.group, t.in), t)
	})
	if t.isOutgrown && err == nil {
		return true
	}
	if err == nil {
		err = errUnanswered
	}
	t.end(err)
	return false
}

// errUnanswered is told of what should have been handed on, and is handed on for what was.
var errUnanswered = errors.New("there is no answer")

// askEach asks for one pod after another, several at once. Once the first is told that
// the source is away, those that have not been asked for are not.
func (c *caller) askEach(ctx context.Context, group []task, call outage.Call, told func(errs []error), hand func(int, answer)) {
	var asking, telling sync.WaitGroup
	var answers answersSoFar
	errs := make([]error, len(group))
	slots := make(chan struct{}, podsAtOnceFor(group[0].spec))
	for i := range group {
		slots <- struct{}{}
		telling.Add(1)
		toldOne := func(one []error) {
			defer telling.Done()
			defer func() { <-slots }()
			errs[i] = one[0]
			answers.add(one[0])
		}
		asking.Go(func() {
			if why := answers.away(); why != nil {
				toldOne([]error{why})
				hand(i, failed(why))
				return
			}
			c.ask(ctx, group[i:i+1], toldOne, func(_ int, from answer) { hand(i, from) })
		})
		if call.IsProbe() && i == 0 {
			telling.Wait() // one call finds out
		}
	}
	telling.Wait()
	told(errs)
	asking.Wait()
}

// answersSoFar are those to the pods of a group that were asked for.
type answersSoFar struct {
	mu       sync.Mutex
	answered bool
	err      error
}

func (a *answersSoFar) add(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case isUnasked(err):
	case errors.Is(err, call.ErrUnavailable):
		a.err = err
	default:
		a.answered = true
	}
}

// away is why the source cannot be asked, as far as is known; nil once a pod was answered.
func (a *answersSoFar) away() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answered {
		return nil
	}
	return a.err
}
