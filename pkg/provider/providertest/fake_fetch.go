package providertest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Fetch implements provider.Provider.
func (f *Fake) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) (provider.Result, error) {
	outcome := f.FetchGroup(ctx, []provider.Identity{pod}, request)[0]
	return outcome.Result, outcome.Err
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
			outcomes[i].Result = f.result(pod, request)
		}
	}
	return outcomes
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

func (f *Fake) result(pod provider.Identity, request provider.Request) provider.Result {
	var result provider.Result
	for _, name := range f.asked(pod, request) {
		entry, exists := f.entries[name]
		refusal, broken := f.refusals[name]
		switch {
		case f.denied[grant{pod.ServiceAccount, name}]:
			result.Refusals = append(result.Refusals, provider.Refusal{Name: name, Reason: provider.Denied})
		case broken:
			result.Refusals = append(result.Refusals, refusal)
		case !exists:
			result.Refusals = append(result.Refusals, provider.Refusal{Name: name, Reason: provider.Missing})
		case entry.connection != nil:
			result.Connections = append(result.Connections, provider.ConnectionEntry{Connection: clone(*entry.connection), Version: entry.version})
		default:
			result.Variables = append(result.Variables, provider.VariableEntry{Key: name.ID, Value: entry.value, Version: entry.version})
		}
	}
	return result
}

// asked spells a request out. With All that is what exists and is not denied: of the
// rest the pod is not to know.
func (f *Fake) asked(pod provider.Identity, request provider.Request) []provider.Name {
	var names []provider.Name
	for kind, selection := range map[provider.Kind]provider.Selection{provider.Connection: request.Connections, provider.Variable: request.Variables} {
		for _, id := range selection.Names {
			names = append(names, provider.Name{Kind: kind, ID: id})
		}
		if selection.All {
			names = append(names, f.readable(pod, kind)...)
		}
	}
	slices.SortFunc(names, compareNames)
	return names
}

func (f *Fake) readable(pod provider.Identity, kind provider.Kind) []provider.Name {
	names := slices.Concat(slices.Collect(maps.Keys(f.entries)), slices.Collect(maps.Keys(f.refusals)))
	slices.SortFunc(names, compareNames)
	return slices.DeleteFunc(slices.Compact(names), func(name provider.Name) bool {
		return name.Kind != kind || f.denied[grant{pod.ServiceAccount, name}]
	})
}
