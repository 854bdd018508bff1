package delivery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/delivery/render"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/policy"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	// resolvesAtOnce bounds the references of one volume that are resolved at once, because
	// each takes as long as a cloud does.
	resolvesAtOnce = 16
	// patience is how long the delivery of a live volume waits for references. What has not
	// come by then stays as it is, and is asked for again soon: a Resolver goes on.
	patience = 500 * time.Millisecond
	// patientFailures is after how many deliveries that waited in vain an entry says so.
	patientFailures = 3
)

// unavailable is the reason of an entry that cannot be asked for now. No provider gives
// it.
const unavailable provider.Reason = layout.Unavailable

// decision is the policy's on one connection.
type decision struct {
	policy.Outcome
	err error
	// fetched has a secret for each reference, "" for one that resolved to nothing.
	fetched []string
	// waiting is set while there is no decision yet.
	waiting bool
}

// decisions are the policy's on all connections of an answer.
type decisions struct {
	connections []render.Connection
	refusals    []provider.Refusal
	// unresolved are the connections that were refused for their references, waiting those
	// that are not decided on yet.
	unresolved, waiting []string
}

// decide runs the policy over every connection; a connection that it fails is refused and
// touches no other. Those with a reference are run once more, side by side. A new volume
// waits for all of them, and gives up at the first that cannot be had now. A live one waits
// for none longer than its patience.
func (d *Deliverer) decide(ctx context.Context, spec Volume, entries []provider.ConnectionEntry, live bool) (decisions, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type numbered struct {
		at int
		decision
	}
	made := make(chan numbered, len(entries))
	slots := make(chan struct{}, resolvesAtOnce)
	all, waiting := make([]decision, len(entries)), 0
	for i, entry := range entries {
		all[i] = d.decideOne(ctx, spec, entry, nil)
		switch {
		case errors.Is(all[i].err, errPanic):
			return decisions{}, all[i].err
		case all[i].waiting:
			waiting++
			go func() { made <- numbered{i, d.decideOne(ctx, spec, entry, slots)} }()
		}
	}
	var waited <-chan time.Time
	if live {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		waited = timer.C
	}
	for range waiting {
		select {
		case one := <-made:
			all[one.at] = one.decision
			switch {
			case errors.Is(one.err, errPanic):
				return decisions{}, one.err
			case !live && errors.Is(one.err, provider.ErrUnavailable):
				id := entries[one.at].Connection.ID
				return decisions{}, failf(Unavailable, one.err, "connection %q cannot be completed now: %v", id, one.err)
			}
		case <-waited:
			return d.gather(spec, entries, all), nil
		}
	}
	return d.gather(spec, entries, all), nil
}

// decideOne decides on a connection. Without slots no reference is resolved: the decision
// then is one to wait for.
func (d *Deliverer) decideOne(ctx context.Context, spec Volume, entry provider.ConnectionEntry, slots chan struct{}) (made decision) {
	resolve := d.resolve(spec.Pod, slots, &made.fetched)
	if slots == nil {
		resolve = func(context.Context, policy.Reference) (secret.Text, error) {
			made.waiting = true
			return secret.Text{}, provider.ErrUnavailable
		}
	}
	made.err = d.guard(spec, func() (err error) {
		made.Outcome, err = d.Policy.Process(ctx, entry.Connection, resolve)
		return err
	})
	return made
}

// gather keeps the order of the answer.
func (d *Deliverer) gather(spec Volume, entries []provider.ConnectionEntry, all []decision) decisions {
	made := decisions{connections: make([]render.Connection, 0, len(entries))}
	for i, one := range all {
		id := entries[i].Connection.ID
		switch {
		case one.waiting:
			made.waiting = append(made.waiting, id)
		case one.err != nil:
			made.refuse(id, one)
		default:
			made.connections = append(made.connections, render.Decided(one.Outcome, d.version(entries[i], one.fetched), spec.Provider))
		}
	}
	return made
}

func (d *decisions) refuse(id string, one decision) {
	reason := provider.Invalid
	if errors.Is(one.err, provider.ErrUnavailable) {
		reason = unavailable
	}
	d.refusals = append(d.refusals, provider.Refusal{
		Name: provider.Name{Kind: provider.Connection, ID: id}, Reason: reason, Detail: one.err.Error(),
	})
	if len(one.fetched) > 0 {
		d.unresolved = append(d.unresolved, id)
	}
}

// resolve binds references to the pod's identity, and records each in fetched, also those
// that resolve to nothing.
func (d *Deliverer) resolve(pod provider.Identity, slots chan struct{}, fetched *[]string) policy.Resolve {
	return func(ctx context.Context, reference policy.Reference) (secret.Text, error) {
		at := len(*fetched)
		*fetched = append(*fetched, "")
		if d.Resolver == nil {
			return secret.Text{}, errors.New("references are not enabled on this node")
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return secret.Text{}, provider.ErrUnavailable
		}
		started := time.Now()
		value, err := d.Resolver.Resolve(ctx, pod, provider.Reference(reference))
		d.Observer.Resolved(reference.Cloud, errorWord(err), time.Since(started))
		(*fetched)[at] = value.Reveal()
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
