package deliver

import (
	"context"
	"errors"
	"sync"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// podsAtOnce bounds the calls of one group that are under way at once, where a provider
	// takes one pod at a time, and idsAtOnce what they ask for: a provider may need as many
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

// askOnce asks for the whole group in one call.
func (f *fetcher) askOnce(ctx context.Context, group []task, call outage.Call, hand func(int, provider.Outcome, *reservation)) {
	outcomes, in := f.callFor(ctx, group)
	f.called(ctx, group, call, outcomes)
	for i, outcome := range outcomes {
		hand(i, outcome, in)
	}
}

// callFor makes one call for the pods within a reservation: that which a new volume has for all
// of its sources, or one of its own.
func (f *fetcher) callFor(ctx context.Context, group []task) ([]provider.Outcome, *reservation) {
	if in := group[0].reserved; in != nil {
		return f.call(ctx, group, in), in
	}
	return f.callReserved(ctx, group)
}

// askEach asks for one pod after another, several at once. Once the first is told that
// the provider is away, those that have not been asked for are not.
func (f *fetcher) askEach(ctx context.Context, group []task, call outage.Call, hand func(int, provider.Outcome, *reservation)) {
	var calls sync.WaitGroup
	var answers answersSoFar
	outcomes := make([]provider.Outcome, len(group))
	slots := make(chan struct{}, podsAtOnceFor(group[0].spec))
	for i := range group {
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			var in *reservation
			outcomes[i], in = f.askFor(ctx, group[i:i+1], &answers)
			hand(i, outcomes[i], in)
		})
		if call.IsProbe() && i == 0 {
			calls.Wait() // one call finds out
		}
	}
	calls.Wait()
	f.called(ctx, group, call, outcomes)
}

// askFor asks for one pod of a group, unless another was told that the provider is away.
func (f *fetcher) askFor(ctx context.Context, one []task, answers *answersSoFar) (outcome provider.Outcome, in *reservation) {
	err := f.guard.run(one[0].spec, func() error {
		if why := answers.away(); why != nil {
			return why
		}
		var made []provider.Outcome
		made, in = f.callFor(ctx, one)
		outcome = made[0]
		answers.add(outcome.Err)
		return nil
	})
	if err != nil {
		outcome = provider.Outcome{Err: err}
	}
	return outcome, in
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
	case errors.Is(err, provider.ErrUnavailable):
		a.err = err
	default:
		a.answered = true
	}
}

// away is why the provider cannot be asked, as far as is known; nil once a pod was answered.
func (a *answersSoFar) away() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answered {
		return nil
	}
	return a.err
}
