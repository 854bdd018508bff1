package delivery

import (
	"context"
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// content is what a volume is to hold, but for the manifest's generation and time.
type content struct {
	files   []render.File
	entries []layout.Entry
	// withdrawn says which required entries a live volume goes without; empty if none.
	withdrawn string
	// unresolved are the connections that were refused for their references.
	unresolved []string
	// late is set if a new volume goes without a connection that may soon be had.
	late bool
}

// compose turns a provider's answer into the volume's content. On a live volume an
// entry that was denied or deleted is withdrawn; one that is merely broken keeps the
// whole volume at its last good generation.
func (d *Deliverer) compose(ctx context.Context, spec Volume, outcome provider.Outcome, live bool) (content, error) {
	if outcome.Err != nil {
		return content{}, providerError(spec, outcome.Err)
	}
	decided, err := d.applyPolicy(ctx, spec, outcome.Result, live)
	if err != nil {
		return content{}, err
	}
	variables := make([]render.Variable, 0, len(outcome.Result.Variables))
	for _, v := range outcome.Result.Variables {
		variables = append(variables, render.Variable{Key: v.Key, Value: v.Value, Version: v.Version, Source: spec.Provider})
	}
	rendered := render.Render(spec.Format, decided.connections, variables)
	refusals := slices.Concat(decided.refusals, outcome.Result.Refusals, rendered.Failures)
	if err := checkRequired(spec, refusals, live); err != nil {
		return content{unresolved: decided.unresolved}, err
	}
	for i, entry := range rendered.Entries {
		if entry.Has(layout.NoticeTooLong) { // who needs it in the environment has to be told
			rendered.Entries[i].Required = spec.wanted(provider.Kind(entry.Kind)).requires(entry.ID)
		}
	}
	return content{
		rendered.Files, append(rendered.Entries, absentEntries(spec, refusals)...),
		withdrawn(spec, refusals), decided.unresolved, decided.late,
	}, nil
}

// absentEntries are the manifest's entries for what is not delivered.
func absentEntries(spec Volume, refusals []provider.Refusal) []layout.Entry {
	entries := make([]layout.Entry, 0, len(refusals))
	for _, refusal := range refusals {
		entry := layout.Entry{
			Kind: string(refusal.Name.Kind), ID: refusal.Name.ID, State: string(refusal.Reason),
			Required: spec.wanted(refusal.Name.Kind).requires(refusal.Name.ID),
		}
		if refusal.Detail != "" {
			entry.Notices = []layout.Notice{{Code: string(refusal.Reason), Message: refusal.Detail}}
		}
		entries = append(entries, entry)
	}
	return entries
}

// providerError says of a whole failed fetch whose turn it is.
func providerError(spec Volume, err error) error {
	switch {
	case errors.Is(err, provider.ErrUnauthenticated):
		return failf(Unauthenticated, err, "%s refused the token of service account %s/%s: %v",
			spec.Provider, spec.Pod.Namespace, spec.Pod.ServiceAccount, err)
	case errors.Is(err, provider.ErrDenied):
		return failf(Denied, err, "%s refused service account %s/%s: %v",
			spec.Provider, spec.Pod.Namespace, spec.Pod.ServiceAccount, err)
	case errors.Is(err, provider.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return failf(Unavailable, err, "%s cannot be asked now: %v", spec.Provider, err)
	default:
		return failf(Internal, err, "fetching from %s: %v", spec.Provider, err)
	}
}
