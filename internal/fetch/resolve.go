package fetch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/policy"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

const (
	// resolvesAtOnce bounds the references of one volume that are resolved at once, because
	// each takes as long as a cloud does.
	resolvesAtOnce = 16
	// patience is how long the delivery of a live volume waits for references. What has not
	// come by then stays as it is, and is asked for again soon: a Resolver goes on.
	patience = seam.Patience
	// haste is the patience of a delivery that takes something away: enough for references
	// that the Resolver has the answer to.
	haste = 50 * time.Millisecond
	// patientFailures is after how many deliveries that waited in vain an entry says so.
	patientFailures = 3
)

// decider has the policy decide on entries, and resolves the references that it leaves.
type decider struct {
	*Config
	guard report.Guard
	// apply is policy.Apply.
	apply func(*entry.Entry)
	// versions are of what references point at.
	versions provider.Versions
}

// decide runs the policy over every connection of an answer, and resolves what it leaves
// references of. A connection that it fails is refused and touches no other; only too little memory
// and a panic of the Resolver's are errors. It reports whether any entry refers.
func (d decider) decide(ctx context.Context, work seam.Work, v seam.Volume, given []entry.Entry, each int64) (entries []entry.Entry, refers bool, err error) {
	entries, referring := d.applyAll(work, given)
	room := &room{left: each - bytesOf(entries), isLast: work.Partial}
	return entries, len(referring) > 0, d.resolveAll(ctx, v, work.Source, entries, referring, room)
}

// applyAll runs the policy, and says which of the entries it leaves references of.
func (d decider) applyAll(work seam.Work, given []entry.Entry) (entries []entry.Entry, referring []int) {
	entries = slices.Clone(given) // others may have the same, and it may be remembered
	for i := range entries {
		e := &entries[i]
		e.Notices = slices.Clip(e.Notices)
		if e.State == entry.Delivered {
			e.Source = work.Source
		}
		d.apply(e)
		if e.Identity != "" && !d.hasIdentity(e.Identity) {
			e.Identity = ""
		}
		if e.Reference != nil && e.State == entry.Delivered {
			referring = append(referring, i)
		}
	}
	return entries, referring
}

// room is the memory that there is for what references bring. isLast is set if there is no more.
type room struct {
	left   int64
	isLast bool
}

// take is the entry, or if there is no room for it, one without a value or seam.ErrOutgrown.
func (r *room) take(e entry.Entry) (entry.Entry, error) {
	r.left -= bytesOf([]entry.Entry{e})
	switch {
	case r.left >= 0:
	case !r.isLast:
		return entry.Entry{}, seam.ErrOutgrown
	case e.State == entry.Delivered:
		return entry.NoRoom(e.Name()), nil
	}
	return e, nil
}

// resolved is an entry after its reference has been resolved, or why that ended in a panic.
type resolved struct {
	at int
	entry.Entry
	err error
}

// resolveAll resolves references side by side. A new volume waits for all of them, and gives
// up at the first that cannot be had now. A live one waits for none longer than its
// patience. What nobody waited for is unavailable, for no reason: see seam.IsAwaited.
func (d decider) resolveAll(ctx context.Context, v seam.Volume, source string, entries []entry.Entry, referring []int, room *room) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	made := make(chan resolved, len(referring))
	slots := make(chan struct{}, resolvesAtOnce)
	for _, i := range referring {
		one := resolved{at: i, Entry: entries[i]}
		entries[i].Refuse(entry.Unavailable, "")
		go func() {
			one.err = d.guard.Run(v.Subject(source), func() error { return d.resolve(ctx, v.Pod, &one.Entry, slots) })
			made <- one
		}()
	}
	var waited <-chan time.Time
	if v.IsLive && len(referring) > 0 {
		timer := time.NewTimer(patienceOf(v, entries))
		defer timer.Stop()
		waited = timer.C
	}
	for range referring {
		select {
		case one := <-made:
			if one.err != nil {
				return one.err
			}
			taken, err := room.take(one.Entry)
			if err != nil {
				return err
			}
			entries[one.at] = taken
			if !v.IsLive && taken.State == entry.Unavailable {
				return nil
			}
		case <-waited:
			giveUp(v, entries)
			return nil
		}
	}
	return nil
}

// patienceOf is little where the volume still shows what it is to lose, as far as is known.
func patienceOf(v seam.Volume, entries []entry.Entry) time.Duration {
	given := givenOf(entries)
	leaves := func(shown seam.Shown) bool { return !given[shown.Name] }
	isTaken := func(e entry.Entry) bool { return isWithdrawal(e.State) }
	if slices.ContainsFunc(v.Shown, leaves) || v.Shown == nil && slices.ContainsFunc(entries, isTaken) {
		return haste
	}
	return patience
}

// giveUp has what was waited for in vain again and again say so.
func giveUp(v seam.Volume, entries []entry.Entry) {
	for i := range entries {
		if v.Failures >= patientFailures && seam.IsAwaited(entries[i].Entry) {
			entries[i].Refuse(entry.Unavailable, seam.NoAnswer)
		}
	}
}

// resolve fetches what an entry's reference points at, under the pod's identity, and has the
// policy put it in its place. Its error is a panic of the Resolver's.
func (d decider) resolve(ctx context.Context, pod provider.Identity, e *entry.Entry, slots chan struct{}) error {
	reference := *e.Reference
	value, err := d.fetchSecret(ctx, pod, reference, slots)
	if ended := (*logkey.Panic)(nil); errors.As(err, &ended) {
		return err
	}
	if err != nil {
		state := entry.Invalid
		if errors.Is(err, provider.ErrUnavailable) {
			state = entry.Unavailable
		}
		e.Refuse(state, fmt.Sprintf("field %q: resolving reference: %v", reference.Field, err))
		return nil
	}
	policy.Complete(e, value)
	if e.State == entry.Delivered {
		// The latest may change while the reference to it does not.
		e.Version += "+" + d.versions.Of(e.Name(), value.Reveal())
	}
	return nil
}

func (d decider) fetchSecret(ctx context.Context, pod provider.Identity, reference entry.Reference, slots chan struct{}) (secret.Text, error) {
	if d.Resolver == nil {
		return secret.Text{}, errors.New("references into " + reference.Cloud + " are not enabled on this node; have them enabled, or go keyless")
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return secret.Text{}, provider.ErrUnavailable
	}
	started := time.Now()
	value, err := d.Resolver.Resolve(ctx, pod, reference)
	d.Observer.Resolved(reference.Cloud, errorWord(err), time.Since(started))
	return value, err
}
