package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// podsAtOnce bounds the calls of one group that are under way at once, where a provider
// takes one pod at a time.
const podsAtOnce = 16

// answer is what a delivery has to go by for one volume.
type answer struct {
	provider.Outcome
	// fetched is when the provider said it.
	fetched time.Time
	// offline is why the provider could not be asked, where the result is remembered.
	offline error
}

// fetch asks the group's provider, and hands on the answer for each volume as it comes,
// each exactly once. What it cannot be asked for a new pod may be remembered.
func (d *Deliverer) fetch(ctx context.Context, cause string, group []task, hand func(i int, from answer)) {
	if err := d.guard(group[0].spec, func() error { return d.enter(ctx, cause, group) }); err != nil {
		for i := range group {
			hand(i, answer{Outcome: provider.Outcome{Err: err}, fetched: time.Now()})
		}
		return
	}
	defer d.leave(cause, group[0].spec.Provider)
	ask := d.askEach
	if _, grouped := d.Providers[group[0].spec.Provider].(provider.GroupFetcher); grouped {
		ask = d.askAll
	}
	ask(ctx, cause, group, func(i int, outcome provider.Outcome) { hand(i, d.answerOf(group[i], outcome)) })
}

// enter waits for a place among the fetches of rotations under way. A new pod waits for
// none.
func (d *Deliverer) enter(ctx context.Context, cause string, group []task) error {
	name := group[0].spec.Provider
	if d.Providers[name] == nil {
		// The driver checks the attribute; a volume from before a restart may name a
		// provider that is configured no more.
		return errNoProvider
	}
	if cause != rotating {
		return nil
	}
	select {
	case d.fetching[name] <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", provider.ErrUnavailable, context.Cause(ctx))
	}
}

func (d *Deliverer) leave(cause, name string) {
	if cause == rotating {
		<-d.fetching[name]
	}
}

var errNoProvider = errors.New("no such source is configured on this node")

// answerOf is what a volume has to go by: what was said just now, or of a new pod, what is
// remembered.
func (d *Deliverer) answerOf(t task, outcome provider.Outcome) answer {
	if errors.Is(outcome.Err, provider.ErrUnavailable) && !d.isLive(t.volume) && sharesMemory(t.spec) {
		if entries, at, found := d.memory.remind(t.key); found {
			return answer{provider.Outcome{Entries: entries}, at, outcome.Err}
		}
	}
	return answer{Outcome: outcome, fetched: time.Now()}
}

// askAll asks for the whole group in one call.
func (d *Deliverer) askAll(ctx context.Context, cause string, group []task, hand func(int, provider.Outcome)) {
	call, err := d.admit(cause, group)
	if err != nil {
		handAll(hand, group, err)
		return
	}
	outcomes := d.call(ctx, group)
	d.settle(ctx, group, call, outcomes)
	for i, outcome := range outcomes {
		hand(i, outcome)
	}
}

// askEach asks for one pod after another, several at once. Once the first is told that
// the provider is away, those that have not been asked for are not.
func (d *Deliverer) askEach(ctx context.Context, cause string, group []task, hand func(int, provider.Outcome)) {
	call, err := d.admit(cause, group)
	if err != nil {
		handAll(hand, group, err)
		return
	}
	var calls sync.WaitGroup
	var said hearsay
	outcomes := make([]provider.Outcome, len(group))
	slots := make(chan struct{}, podsAtOnce)
	for i := range group {
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			if outcomes[i].Err = said.away(); outcomes[i].Err == nil {
				outcomes[i] = d.call(ctx, group[i:i+1])[0]
				said.add(outcomes[i].Err)
			}
			hand(i, outcomes[i])
		})
		if call.IsProbe() && i == 0 {
			calls.Wait() // one call finds out
		}
	}
	calls.Wait()
	d.settle(ctx, group, call, outcomes)
}

// hearsay is what the pods of a group were told so far.
type hearsay struct {
	mu       sync.Mutex
	answered bool
	err      error
}

func (h *hearsay) add(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(err, provider.ErrUnavailable) {
		h.err = err
	} else {
		h.answered = true
	}
}

// away is why the provider cannot be asked, as far as any pod was told; nil once one was
// answered.
func (h *hearsay) away() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.answered {
		return nil
	}
	return h.err
}

func handAll(hand func(int, provider.Outcome), group []task, err error) {
	for i := range group {
		hand(i, provider.Outcome{Err: err})
	}
}

// learn remembers what a group was given, if that may be given to others like it.
func (d *Deliverer) learn(group []task, outcomes []provider.Outcome) {
	if d.memory.grace > 0 && !slices.ContainsFunc(group, func(t task) bool { return !sharesMemory(t.spec) }) {
		d.memory.learn(group[0].key, outcomes, time.Now())
	}
}

// sharesMemory tells whether what the volume is given may be given to others like it, and
// the other way round. What a task's own token brings may not: the next pod of the service
// account is another task. Nor may what is brought by a pod that only says whose it is.
func sharesMemory(spec Volume) bool { return !spec.Pod.TaskToken && spec.Pod.IsAttested() }

// call makes one call for the pods. It has a deadline of its own.
func (d *Deliverer) call(ctx context.Context, group []task) (outcomes []provider.Outcome) {
	err := d.guard(group[0].spec, func() error {
		limited, cancel := context.WithTimeout(ctx, d.FetchTimeout)
		defer cancel()
		source, started := group[0].spec.Provider, time.Now()
		outcomes = fetchFrom(limited, d.Providers[source], group, request(group[0].spec))
		if group[0].live && slices.ContainsFunc(outcomes, isProtocol) {
			outcomes = d.fetchApart(limited, group, outcomes)
		}
		d.observeFetch(source, outcomes, started)
		return nil
	})
	if err != nil {
		return slices.Repeat([]provider.Outcome{{Err: err}}, len(group))
	}
	return outcomes
}

func fetchFrom(ctx context.Context, source provider.Provider, group []task, asked provider.Request) []provider.Outcome {
	pods := make([]provider.Identity, len(group))
	for i, t := range group {
		pods[i] = t.spec.Pod
	}
	if grouped, ok := source.(provider.GroupFetcher); ok && len(pods) > 1 {
		return grouped.FetchGroup(ctx, pods, asked)
	}
	entries, err := source.Fetch(ctx, pods[0], asked)
	return []provider.Outcome{{Entries: entries, Err: err}}
}
