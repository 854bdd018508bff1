package delivery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/policy"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// decisionsAtOnce bounds the connections of one volume whose references are resolved at
// once, because a reference takes as long as a cloud does.
const decisionsAtOnce = 16

// decision is the policy's on one connection.
type decision struct {
	policy.Outcome
	err error
	// fetched are the secrets that references brought, and "" for each that did not.
	fetched []string
}

// decisions are the policy's on all connections of an answer.
type decisions struct {
	connections []render.Connection
	refusals    []provider.Refusal
	unresolved  []string
	// late is set if any of these could not be asked for now.
	late bool
}

// applyPolicy runs the policy over every connection; a connection that it fails is
// refused and touches no other. A secret manager that cannot be asked is no reason to
// refuse what a live volume has, nor what a new one requires: then all has to wait, and
// nobody waits for the rest.
func (d *Deliverer) applyPolicy(ctx context.Context, spec Volume, result provider.Result, live bool) (decisions, error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	all := make([]decision, len(result.Connections))
	var referring []int
	for i, entry := range result.Connections {
		var refers bool
		if all[i], refers = d.decideAlone(ctx, entry); refers {
			referring = append(referring, i)
		}
	}
	each(len(referring), decisionsAtOnce, func(n int) {
		i := referring[n]
		entry := result.Connections[i]
		all[i] = d.decide(ctx, spec.Pod, entry)
		id, err := entry.Connection.ID, all[i].err
		if errors.Is(err, provider.ErrUnavailable) && (live || spec.Connections.requires(id)) {
			giveUp(failf(Unavailable, err, "connection %q cannot be completed now: %v", id, err))
		}
	})
	var hopeless *Error
	if errors.As(context.Cause(ctx), &hopeless) {
		return decisions{}, hopeless
	}
	return d.gather(spec, result.Connections, all), nil
}

// decideAlone decides on a connection that refers to no secret elsewhere, as nearly all do:
// a goroutine for each of those would be one for each entry of each pod that starts.
func (d *Deliverer) decideAlone(ctx context.Context, entry provider.ConnectionEntry) (made decision, refers bool) {
	made.Outcome, made.err = d.Policy.Process(ctx, entry.Connection, func(context.Context, policy.Reference) (secret.Text, error) {
		refers = true
		return secret.Text{}, provider.ErrUnavailable
	})
	return made, refers
}

func (d *Deliverer) decide(ctx context.Context, pod provider.Identity, entry provider.ConnectionEntry) decision {
	var made decision
	made.Outcome, made.err = d.Policy.Process(ctx, entry.Connection, d.resolve(pod, &made.fetched))
	return made
}

// gather keeps the order of the answer.
func (d *Deliverer) gather(spec Volume, entries []provider.ConnectionEntry, all []decision) decisions {
	made := decisions{connections: make([]render.Connection, 0, len(entries))}
	for i, one := range all {
		if one.err != nil {
			made.refuse(entries[i].Connection.ID, one.err, len(one.fetched) > 0)
			made.late = made.late || errors.Is(one.err, provider.ErrUnavailable)
			continue
		}
		made.connections = append(made.connections, render.Decided(one.Outcome, d.version(entries[i], one.fetched), spec.Provider))
	}
	return made
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
