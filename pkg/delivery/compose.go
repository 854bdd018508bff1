package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/policy"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// content is what a volume is to hold, but for the manifest's generation and time.
type content struct {
	files   []render.File
	entries []layout.Entry
	// withdrawn says which required entries a live volume goes without; empty if none.
	withdrawn string
	// unresolved are the connections that were refused for their references.
	unresolved []string
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
	return content{
		rendered.Files, append(rendered.Entries, absentEntries(spec, refusals)...),
		withdrawn(spec, refusals), decided.unresolved,
	}, nil
}

// decisions are the policy's on all connections of an answer.
type decisions struct {
	connections []render.Connection
	refusals    []provider.Refusal
	unresolved  []string
}

// applyPolicy runs the policy over every connection; a connection that it fails is
// refused and touches no other. A secret manager that cannot be asked is no reason to
// refuse what a live volume has, nor what a new one requires: then all has to wait.
func (d *Deliverer) applyPolicy(ctx context.Context, spec Volume, result provider.Result, live bool) (decisions, error) {
	made := decisions{connections: make([]render.Connection, 0, len(result.Connections))}
	for _, entry := range result.Connections {
		var fetched []string
		decided, err := d.Policy.Process(ctx, entry.Connection, d.resolve(spec.Pod, &fetched))
		if errors.Is(err, provider.ErrUnavailable) && (live || spec.Connections.requires(entry.Connection.ID)) {
			return decisions{}, failf(Unavailable, err, "connection %q cannot be completed now: %v", entry.Connection.ID, err)
		}
		if err != nil {
			made.refuse(entry.Connection.ID, err, len(fetched) > 0)
			continue
		}
		made.connections = append(made.connections, render.Decided(decided, d.version(entry, fetched), spec.Provider))
	}
	return made, nil
}

func (d *decisions) refuse(id string, err error, reference bool) {
	d.refusals = append(d.refusals, provider.Refusal{
		Name: provider.Name{Kind: provider.Connection, ID: id}, Reason: provider.Invalid, Detail: err.Error(),
	})
	if reference {
		d.unresolved = append(d.unresolved, id)
	}
}

// resolve binds references to the pod's identity. What they point at is added to
// fetched, and be it nothing.
func (d *Deliverer) resolve(pod provider.Identity, fetched *[]string) policy.Resolve {
	return func(ctx context.Context, reference policy.Reference) (secret.Text, error) {
		if d.Resolver == nil {
			*fetched = append(*fetched, "")
			return secret.Text{}, errors.New("references are not enabled on this node")
		}
		started := time.Now()
		value, err := d.Resolver.Resolve(ctx, pod, provider.Reference(reference))
		d.Observer.Resolved(reference.Cloud, errorWord(err), time.Since(started))
		*fetched = append(*fetched, value.Reveal())
		return value, err
	}
}

// version is the provider's, and where secrets were fetched for the entry, theirs too:
// the latest may change while the reference to it does not.
func (d *Deliverer) version(entry provider.ConnectionEntry, fetched []string) string {
	if len(fetched) == 0 {
		return entry.Version
	}
	name := provider.Name{Kind: provider.Connection, ID: entry.Connection.ID}
	return entry.Version + "+" + d.versions.Of(name, strings.Join(fetched, "\x00"))
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
