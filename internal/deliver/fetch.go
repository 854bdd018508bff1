package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// rotationsAtOnce bounds the fetches of rotations that begin at once, for each
	// provider: one that is slow holds up no other. A Publish does not wait for them: a new
	// pod comes before a refresh.
	rotationsAtOnce = 16
	// rotationsShare is a namespace's, of what it leaves free: one alone has half of them.
	rotationsShare = 1
	// overdue is how long a fetch of a rotation keeps its place. One that takes longer, for
	// want of an answer mostly, goes on without: what it waits for is its own namespace's, and
	// holds up no other.
	overdue = 100 * time.Millisecond
)

// fetcher asks providers, unless they are known to be away, and remembers what they said as
// long as it may.
type fetcher struct {
	*Config
	guard  guard
	set    *set
	memory memory
	sizes  sizes
	// rotations are the turns of rotations to fetch, by provider.
	rotations map[string]*turn.Queue
}

func newFetcher(config *Config, set *set) fetcher {
	made := fetcher{
		Config: config, guard: guard{config}, set: set,
		memory: newMemory(config.OfflineGrace), sizes: newSizes(config.Budget.LargestAnswer()), rotations: map[string]*turn.Queue{},
	}
	for name := range config.Providers {
		made.rotations[name] = turn.New(rotationsAtOnce, rotationsShare)
	}
	return made
}

// answer is what a delivery has to go by for one volume.
type answer struct {
	provider.Outcome
	// fetched is when the provider said it.
	fetched time.Time
	// offline is why the provider could not be asked, where the result is remembered.
	offline error
	// turn is the memory that is reserved for it; nil where there was no call.
	reserved *reservation
}

// fetch asks the group's provider, and hands on the answer for each volume as it comes,
// each exactly once. What it cannot be asked for a new pod may be remembered.
func (f *fetcher) fetch(ctx context.Context, group []task, hand func(i int, from answer)) {
	leave := func() {}
	err := f.guard.run(group[0].spec, func() (err error) { leave, err = f.enter(ctx, group); return err })
	if err != nil {
		for i := range group {
			hand(i, answer{Outcome: provider.Outcome{Err: err}, fetched: time.Now()})
		}
		return
	}
	defer leave()
	ask := f.askEach
	if _, grouped := f.Providers[group[0].spec.Provider].(provider.GroupFetcher); grouped || len(group) == 1 {
		ask = f.askOnce
	}
	handOutcome := func(i int, outcome provider.Outcome, in *reservation) {
		from := answer{fetched: time.Now()}
		from.Err = f.guard.run(group[i].spec, func() error { from = f.answerOf(group[i], outcome); return from.Err })
		from.reserved = in
		hand(i, from)
	}
	call, err := f.admit(group)
	if err != nil {
		for i := range group {
			handOutcome(i, provider.Outcome{Err: err}, nil)
		}
		return
	}
	ask(ctx, group, call, handOutcome)
}

// enter waits for the namespace's turn among the fetches of rotations. A new pod waits for none.
// Whoever entered has to leave.
func (f *fetcher) enter(ctx context.Context, group []task) (leave func(), err error) {
	spec := group[0].spec
	if f.Providers[spec.Provider] == nil {
		// The driver checks the attribute; a volume from before a restart may name a
		// provider that is configured no more.
		return nil, errors.New("no such source is configured on this node")
	}
	if group[0].podWaits {
		return func() {}, nil
	}
	leave, err = f.rotations[spec.Provider].Take(ctx, spec.Pod.Namespace, 1)
	if err != nil {
		return nil, fmt.Errorf("waiting for a turn: %w", err)
	}
	free := sync.OnceFunc(leave)
	late := time.AfterFunc(overdue, free)
	return func() { late.Stop(); free() }, nil
}

// answerOf is what a volume has to go by: what was said just now, or of a new pod, what is
// remembered.
func (f *fetcher) answerOf(t task, outcome provider.Outcome) answer {
	if errors.Is(outcome.Err, provider.ErrUnavailable) && !f.set.isLive(t.of) && sharesMemory(t.spec) {
		if entries, at, found := f.memory.get(t.key); found {
			return answer{Outcome: provider.Outcome{Entries: entries}, fetched: at, offline: outcome.Err}
		}
	}
	return answer{Outcome: outcome, fetched: time.Now()}
}

// remember keeps what a group was given, if that may be given to others like it.
func (f *fetcher) remember(group []task, outcomes []provider.Outcome) {
	if !slices.ContainsFunc(group, func(t task) bool { return !sharesMemory(t.spec) }) {
		f.memory.put(group[0].key, outcomes, time.Now())
	}
}

// sharesMemory tells whether what the volume is given may be given to others like it, and
// the other way round. What a task's own token brings may not: the next pod of the service
// account is another task. Nor may what is brought by a pod that only says whose it is.
func sharesMemory(spec Volume) bool { return !spec.Pod.TaskToken && spec.Pod.IsAttested() }

// call makes one call for the pods. It has a deadline of its own, and no more is read than the
// turn has memory for.
func (f *fetcher) call(ctx context.Context, group []task, in *reservation) (outcomes []provider.Outcome) {
	err := f.guard.run(group[0].spec, func() error {
		name, started := group[0].spec.Provider, time.Now()
		limited, cancel := context.WithTimeout(ctx, f.timeoutOf(name))
		defer cancel()
		asked := request(group[0].spec)
		asked.MaxBytes, asked.Partial = in.size, in.isLast
		outcomes = fetchFrom(limited, f.Providers[name], group, asked)
		if in.isOutgrown(group, outcomes) {
			return nil // it is asked for again
		}
		if mayComeInParts(group, outcomes) {
			outcomes = fetchApart(limited, f.Providers[name], group, outcomes, min(in.size, f.VolumeSize))
		}
		f.Observer.Fetched(fetchOf(ctx, name, outcomes, started))
		return nil
	})
	if err != nil {
		return slices.Repeat([]provider.Outcome{{Err: err}}, len(group))
	}
	return outcomes
}

func (f *fetcher) timeoutOf(source string) time.Duration {
	if paced, ok := f.Providers[source].(provider.Paced); ok {
		return max(f.FetchTimeout, paced.FetchFor())
	}
	return f.FetchTimeout
}

func fetchFrom(ctx context.Context, source provider.Provider, group []task, asked provider.Request) []provider.Outcome {
	pods := make([]provider.Identity, len(group))
	for i, t := range group {
		pods[i] = t.spec.Pod
	}
	var outcomes []provider.Outcome
	if grouped, ok := source.(provider.GroupFetcher); ok && len(pods) > 1 {
		outcomes = grouped.FetchGroup(ctx, pods, asked)
	} else {
		entries, err := source.Fetch(ctx, pods[0], asked)
		outcomes = []provider.Outcome{{Entries: entries, Err: err}}
	}
	return complete(group, asked, outcomes)
}

// fetchOf is what is counted of a fetch for the caller of ctx that took from started until now.
func fetchOf(ctx context.Context, name string, outcomes []provider.Outcome, started time.Time) report.Fetch {
	fetch := report.Fetch{Source: name, Outcome: "ok", Took: time.Since(started), Refusals: map[entry.State]int{}}
	for _, o := range outcomes {
		if fetch.Outcome == "ok" {
			fetch.Outcome = errorWord(o.Err)
			if fetch.Outcome == "unavailable" && ctx.Err() != nil {
				fetch.Outcome = givenUpFor(ctx).String()
			}
		}
		for _, e := range o.Entries {
			if e.State != entry.Delivered {
				fetch.Refusals[e.State]++
			}
		}
	}
	return fetch
}
