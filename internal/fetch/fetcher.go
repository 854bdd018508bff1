// Package fetch is the half of a node's daemon that asks (seam.Fetcher): for each volume it
//
//  1. fetches what that asks a source for, in one call for volumes that are alike in identity and
//     request (call.go, apart.go, complete.go), or remembers it (memory.go);
//  2. runs the policy over it, and resolves what that leaves references of (resolve.go);
//  3. renders it (render), and hands it on.
//
// It knows no path of the node, and keeps nothing of a volume.
package fetch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/fetch/render"
	"github.com/leoflow/secrets-csi/internal/policy"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Config is what a Fetcher is made of.
type Config struct {
	// Providers by the name that a volume's "source" attribute gives.
	Providers map[string]provider.Provider
	// Names are the keys of Providers, the default first; empty for them in the order of letters.
	Names []string
	// Resolver fetches what references point at. Nil refuses every reference.
	Resolver provider.Resolver
	// Identities say how pods show their own identities to clouds; nil where they show none.
	Identities Identities
	// FetchTimeout bounds one fetch.
	FetchTimeout time.Duration
	// OfflineGrace is how long what a pod was given may be given to a new pod of the same
	// namespace, service account and request while the provider cannot be asked. Zero is
	// never, and nothing is then kept in memory.
	OfflineGrace time.Duration
	// Readers are told what happens.
	report.Readers
}

// rendersAtOnce bounds how many volumes of the node are rendered and not yet taken: more would hold
// more files in memory for no gain. None waits for anybody while it is rendered, so that a
// namespace may have all turns while no other wants one.
const rendersAtOnce = 4

// Fetcher is a seam.Fetcher. Make it with New.
type Fetcher struct {
	Config
	guard   report.Guard
	memory  memory
	decider decider
	// render is render.Render.
	render func(render.Format, []entry.Entry, map[string]string)
	// rendering are the turns of volumes to be rendered.
	rendering *turn.Queue
}

var _ seam.Fetcher = (*Fetcher)(nil)

// New returns a Fetcher that remembers nothing yet.
func New(config Config) *Fetcher {
	config.Readers = report.Complete(config.Readers)
	f := &Fetcher{Config: config, memory: newMemory(config.OfflineGrace), render: render.Render, rendering: turn.New(rendersAtOnce, 0)}
	f.guard = report.Guard{Readers: &f.Readers}
	f.decider = decider{Config: &f.Config, guard: f.guard, apply: policy.Apply, versions: provider.NewVersions()}
	return f
}

// Sources implements seam.Fetcher.
func (f *Fetcher) Sources() []string {
	if len(f.Names) > 0 {
		return f.Names
	}
	return slices.Sorted(maps.Keys(f.Providers))
}

// Source implements seam.Fetcher.
func (f *Fetcher) Source(name string) (seam.Source, bool) {
	source, found := f.Providers[name]
	if !found {
		return seam.Source{}, false
	}
	_, isGrouped := source.(provider.GroupFetcher)
	_, isWatched := source.(provider.Watcher)
	made := seam.Source{IsGrouped: isGrouped, IsWatched: isWatched, Remembers: f.memory.grace > 0, FetchFor: f.timeoutOf(source)}
	if polled, says := source.(provider.Polled); says {
		made.PollEvery = polled.PollEvery()
	}
	return made, true
}

// timeoutOf bounds a fetch of the source.
func (f *Fetcher) timeoutOf(source provider.Provider) time.Duration {
	if paced, ok := source.(provider.Paced); ok {
		return max(f.FetchTimeout, paced.FetchFor())
	}
	return f.FetchTimeout
}

// IsThere implements seam.Fetcher.
func (*Fetcher) IsThere() bool { return true }

// Watch implements seam.Fetcher.
func (f *Fetcher) Watch(ctx context.Context, source string, notify func(seam.Change)) error {
	watcher, ok := f.Providers[source].(provider.Watcher)
	if !ok {
		return provider.ErrWatchUnsupported
	}
	return f.guard.Run(report.Volume{Source: source}, func() error {
		return watcher.Watch(ctx, func(change provider.Change) { notify(seam.Change(change)) })
	})
}

// Fetch implements seam.Fetcher.
func (f *Fetcher) Fetch(ctx context.Context, work seam.Work, taker seam.Taker) error {
	return f.guard.Run(work.Volumes[0].Subject(work.Source), func() error {
		outcomes, each := f.away(work), work.MaxBytes
		if !work.IsAway {
			outcomes = f.call(ctx, work)
			told := toldOf(work, outcomes)
			if !told.Outgrown {
				f.remember(work, outcomes)
			}
			each = told.Each
			if taker.Told(told); told.Outgrown {
				return nil
			}
		}
		f.handAll(ctx, work, outcomes, each, taker)
		return nil
	})
}

// handAll hands on what each volume is to show.
func (f *Fetcher) handAll(ctx context.Context, work seam.Work, outcomes []provider.Outcome, each int64, taker seam.Taker) {
	var volumes sync.WaitGroup
	fetched, shared := time.Now(), &shared{fetcher: f, work: work}
	hand := func(i int) {
		_ = f.guard.Run(work.Volumes[i].Subject(work.Source), func() error { // it is logged
			taker.Place()
			answer, leave := f.answer(ctx, work, i, known{outcomes[i], fetched, nil}, each, shared)
			defer leave()
			taker.Take(i, answer)
			return nil
		})
	}
	for i := range outcomes[1:] {
		volumes.Go(func() { hand(i + 1) })
	}
	hand(0)
	volumes.Wait()
}

// known is what there is to go by for a volume.
type known struct {
	provider.Outcome
	fetched time.Time
	offline error
}

// answer is what the volume is to show, with what was taken away though the rest fails. leave is to be
// called once it is taken.
func (f *Fetcher) answer(ctx context.Context, work seam.Work, i int, from known, each int64, shared *shared) (made seam.Answer, leave func()) {
	v := work.Volumes[i]
	guarded := func(do func() error) error { return f.guard.Run(v.Subject(work.Source), do) }
	if err := guarded(func() error { from = f.knownOf(work, v, from); return nil }); err != nil {
		from.Outcome = provider.Outcome{Err: err}
	}
	made = seam.Answer{Err: from.Err, Fetched: from.fetched, Offline: from.offline}
	if from.Err != nil {
		made.Entries = linesOf(takenFrom(from.Entries))
		return made, func() {}
	}
	if lines, found := shared.linesOf(v, from.Entries); found {
		made.Entries = lines
		made.Err = guarded(func() error {
			limited, done := waiting(ctx, v, from.Entries)
			defer done()
			f.identify(limited, v, &made, &shared.identities)
			return nil
		})
		if made.Err != nil {
			made.Entries, made.Identities = linesOf(takenFrom(from.Entries)), nil
		}
		return made, func() {}
	}
	var entries []entry.Entry
	made.Err = guarded(func() (err error) {
		entries, made.Refers, err = f.decider.decide(ctx, work, v, from.Entries, each)
		limited, done := waiting(ctx, v, from.Entries)
		defer done()
		for _, e := range entries {
			if e.Identity != "" { // asked for now, since nobody is asked while there is a turn to give back
				shared.identities.of(limited, f.Identities, v, e.Identity)
			}
		}
		return err
	})
	// What was taken away has to leave, whoever still waits for this.
	leave, _ = f.rendering.Take(context.WithoutCancel(ctx), v.Pod.Namespace, 1)
	if made.Err == nil {
		made.Err = guarded(func() error {
			f.render(v.Format, entries, deliveredFirst(v, entries))
			made.Entries = linesOf(entries)
			f.identify(ctx, v, &made, &shared.identities)
			return nil
		})
	}
	if made.Err != nil {
		made.Identities = nil
		made.Entries = linesOf(append(takenFrom(from.Entries), unmentioned(work, v, from.Entries)...))
	}
	return made, leave
}

func linesOf(entries []entry.Entry) []seam.Entry {
	made := make([]seam.Entry, len(entries))
	for i, e := range entries {
		e.Notices = slices.Clip(e.Notices) // several volumes may have the line
		made[i] = seam.Entry{Entry: e.Entry, Value: e.Value, JSON: e.JSON, Refers: e.Reference != nil, TooLarge: e.TooLarge}
	}
	return made
}
