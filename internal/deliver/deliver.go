package deliver

import (
	"context"
	"slices"
	"sync"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
)

// volumesAtOnce bounds how many volumes of the node are filled at once: more would hold
// more files in memory for no gain. None waits for anybody while it is being filled.
const volumesAtOnce = 4

// deliver brings a group of volumes, alike in identity and request, up to date:
//
//  1. fetch the entries that they ask for, in one call where the provider can; otherwise
//     each volume goes on as soon as its own call is answered;
//  2. run the policy over each volume's entries, and resolve what it leaves references of;
//  3. render them;
//  4. decide by their states what the volume is to hold, or that it cannot be made;
//  5. place that: the tmpfs if there is none yet, and one swap if anything differs.
//
// The errors stand in the order of the group. A volume whose delivery fails keeps its
// files, but for those that were taken away.
func (d *Deliverer) deliver(ctx context.Context, cause string, group []task) []error {
	errs := make([]error, len(group))
	var fills sync.WaitGroup
	d.fetch(ctx, cause, group, func(i int, from answer) { // 1
		fill := func() { errs[i] = d.fill(ctx, cause, group[i], from) }
		if cause == publishing {
			fill()
			return
		}
		fills.Go(fill) // and the fetch does not wait for it
	})
	fills.Wait()
	d.trigger()
	return errs
}

// fill is a delivery from step 2 on, of one volume, and its report. Whatever keeps a live
// volume from what it is to hold, what was taken away leaves.
func (d *Deliverer) fill(ctx context.Context, cause string, t task, from answer) error {
	var e ending
	e.err = d.guard(t.spec, func() (err error) {
		e.content, e.placement, err = d.make(ctx, cause, t, from)
		return err
	})
	if e.err != nil && t.live {
		d.withdraw(t, cause, from, &e)
	}
	return d.tell(t, cause, e)
}

// tell takes in how a delivery ended, and reports it. It returns why it failed.
func (d *Deliverer) tell(t task, cause string, e ending) error {
	made := d.record(t, cause, e)
	err := d.guard(t.spec, func() error { made.Tell(d.Readers, &t.events, &d.said); return nil })
	if made.Failure != nil {
		return made.Failure
	}
	return err
}

// make makes one volume hold what was fetched for it.
func (d *Deliverer) make(ctx context.Context, cause string, t task, from answer) (content, placement, error) {
	entries, err := d.decided(ctx, t, from) // 2
	if err != nil {
		return content{}, placement{}, err
	}
	d.filling <- struct{}{}
	defer func() { <-d.filling }()
	made, err := d.rendered(t, entries) // 3, 4
	if err != nil {
		return made, placement{}, err
	}
	placed, err := d.place(t, cause, made, from) // 5
	return made, placed, err
}

// decided are the entries that were fetched, as the policy has them.
func (d *Deliverer) decided(ctx context.Context, t task, from answer) ([]entry.Entry, error) {
	if from.Err != nil {
		return nil, providerError(t.spec, from.Err)
	}
	entries := slices.Clone(from.Entries) // the answer may be remembered
	return entries, d.decide(ctx, t, entries)
}

// rendered is what the volume is to hold of the entries.
func (d *Deliverer) rendered(t task, entries []entry.Entry) (content, error) {
	d.render(t.spec.Format, entries, deliveredFirst(t, entries))
	return contentOf(t, entries)
}

// withdraw takes away what is to leave, and no more. If that fails, and the volume still
// shows any of it, that is told.
func (d *Deliverer) withdraw(t task, cause string, from answer, e *ending) {
	alone := withdrawal(t, from.Entries)
	if len(alone.entries) == 0 {
		return
	}
	err := d.guard(t.spec, func() (err error) {
		placed, err := d.place(t, cause, alone, from)
		if err == nil {
			e.placement, e.reasons = placed, alone.reasons
		}
		return err
	})
	if err == nil {
		return
	}
	if shown, reading := mount.Current(t.spec.TargetPath); reading == nil {
		if standing := stillShown(shown.Manifest, alone); len(standing) > 0 {
			e.pending = report.Pending{Entries: standing, Err: err}
		}
	}
}

// isLive reports whether the volume shows files.
func (d *Deliverer) isLive(v *volume) bool {
	_, health := d.set.look(v)
	return health.Generation > 0
}
