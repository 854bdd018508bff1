package providertest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Fetch implements provider.Provider.
func (f *Fake) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	outcome := f.FetchGroup(ctx, []provider.Identity{pod}, request)[0]
	return outcome.Entries, outcome.Err
}

// FetchGroup implements provider.GroupFetcher.
func (f *Fake) FetchGroup(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	err := f.arrive(ctx, Call{slices.Clone(pods), request})
	f.mu.Lock()
	defer f.mu.Unlock()
	outcomes := make([]provider.Outcome, len(pods))
	for i, pod := range pods {
		switch {
		case err != nil:
			outcomes[i].Err = err
		case pod.Token.Len() == 0 || f.tokens[pod.Token.Reveal()]:
			outcomes[i].Err = fmt.Errorf("asking the fake: %w", provider.ErrUnauthenticated)
		default:
			outcomes[i] = within(f.answer(pod, request), request.MaxBytes)
		}
	}
	return outcomes
}

// within is the outcome for one pod, of at most so many bytes.
func within(entries []entry.Entry, most int64) provider.Outcome {
	size := int64(0)
	for i := range entries {
		for value := range entries[i].Secrets() {
			size += int64(value.Len())
		}
	}
	if most > 0 && size > most {
		return provider.Outcome{Err: fmt.Errorf("asking the fake: %w", provider.ErrTooLarge)}
	}
	return provider.Outcome{Entries: entries}
}

// arrive records the call, then waits and fails as the test has set.
func (f *Fake) arrive(ctx context.Context, call Call) error {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	gate := f.gate
	f.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("asking the fake: %w: %w", provider.ErrUnavailable, context.Cause(ctx))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

func (f *Fake) answer(pod provider.Identity, request provider.Request) []entry.Entry {
	var entries []entry.Entry
	for _, name := range f.asked(pod, request) {
		held, exists := f.entries[name]
		switch {
		case f.denied[grant{pod.ServiceAccount, name}]:
			held = entry.Refused(name, entry.Denied, "")
		case !exists:
			held = entry.Refused(name, entry.Missing, "")
		}
		held.Connection, held.Notices = clone(held.Connection), slices.Clone(held.Notices)
		entries = append(entries, held)
	}
	return entries
}

// asked spells a request out. With All that is what exists and is not denied: of the
// rest the pod is not to know.
func (f *Fake) asked(pod provider.Identity, request provider.Request) []entry.Name {
	var names []entry.Name
	for kind, selection := range map[entry.Kind]provider.Selection{entry.Connection: request.Connections, entry.Variable: request.Variables} {
		for _, id := range selection.Names {
			names = append(names, entry.Name{Kind: kind, ID: id})
		}
		if selection.All {
			names = append(names, f.readable(pod, kind)...)
		}
	}
	slices.SortFunc(names, entry.Compare)
	return names
}

func (f *Fake) readable(pod provider.Identity, kind entry.Kind) []entry.Name {
	return slices.DeleteFunc(slices.SortedFunc(maps.Keys(f.entries), entry.Compare), func(name entry.Name) bool {
		return name.Kind != kind || f.denied[grant{pod.ServiceAccount, name}]
	})
}
