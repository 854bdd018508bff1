package delivery

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/leoflow/secrets-csi/pkg/mount"
)

// volumesAtOnce bounds how many volumes of the node are filled at once: more would hold
// more files in memory for no gain. None waits for anybody while it is being filled.
const volumesAtOnce = 4

// deliver brings a group of volumes, alike in identity and request, up to date:
//
//  1. fetch what they ask for, in one call where the provider can; otherwise each volume
//     goes on as soon as its own call is answered;
//  2. compose each volume's files: policy, rendering, what is required;
//  3. place them: the tmpfs if there is none yet, and one swap if anything differs.
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

// fill is a delivery from step 2 on, of one volume. Whatever keeps a live volume from what
// it is to hold, what was taken away leaves.
func (d *Deliverer) fill(ctx context.Context, cause string, t task, from answer) error {
	var e ending
	e.err = d.guard(t.spec, func() (err error) {
		e.content, e.placement, err = d.composeAndPlace(ctx, cause, t, from)
		return err
	})
	if alone := withdrawal(t.spec, from.Result); e.err != nil && t.live && len(alone.entries) > 0 {
		d.withdraw(t, cause, alone, from, &e)
	}
	d.record(t, &e)
	err := d.guard(t.spec, func() error {
		d.report(t, cause, e)
		return nil
	})
	return cmp.Or(e.err, err)
}

func (d *Deliverer) composeAndPlace(ctx context.Context, cause string, t task, from answer) (content, placement, error) {
	composed, err := d.compose(ctx, t, from.Outcome) // 2
	if err != nil {
		return composed, placement{}, err
	}
	d.filling <- struct{}{}
	defer func() { <-d.filling }()
	placed, err := d.place(t, cause, composed, from) // 3
	return composed, placed, err
}

// withdraw takes away what is to leave, and no more. If that fails, and the volume still
// shows any of it, that is told.
func (d *Deliverer) withdraw(t task, cause string, alone content, from answer, e *ending) {
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
		e.standing = stillShown(shown.Manifest, alone)
	}
	if len(e.standing) > 0 {
		e.pending = err
	}
}

// isLive reports whether the volume shows files.
func (d *Deliverer) isLive(v *volume) bool {
	_, health := d.set.look(v)
	return health.Generation > 0
}

// ending is how a delivery of one volume ended.
type ending struct {
	content
	placement
	err error
	// pending is why what was taken away could not leave, and standing what that is; nil if
	// it has, or nothing was.
	pending  error
	standing []string
}

// record takes in how a delivery went. Whatever happens, the volume is not under way any
// more.
func (d *Deliverer) record(t task, e *ending) {
	problem := ""
	if err := d.guard(t.spec, func() error { problem = e.problem(t.spec); return nil }); err != nil {
		e.err, problem = err, err.Error()
	}
	d.set.end(t, outcome{
		placement: e.placement, failed: e.err != nil || e.offline || e.late, problem: problem,
		lost: errors.Is(e.err, mount.ErrNotMounted), held: len(e.held()),
	})
}

// report tells how a delivery went.
func (d *Deliverer) report(t task, cause string, e ending) {
	d.observeDelivery(t, cause, e.placement, e.err)
	news := d.tell(t, e)
	d.audit(t, cause, e, e.problem(t.spec), news)
}

// problem is what is wrong with the volume now; empty if nothing is.
func (e ending) problem(spec Volume) string {
	switch {
	case e.err != nil:
		return e.err.Error()
	case e.offline:
		return servedOffline(spec)
	}
	var problems []string
	for _, text := range []string{e.takenAway(spec), e.heldBack(spec, nil), e.lacking(spec)} {
		if text != "" {
			problems = append(problems, text)
		}
	}
	return strings.Join(problems, "; ")
}

func servedOffline(spec Volume) string {
	return "the files are what this node was given for a pod like this one before " + spec.Provider + " could not be asked any more"
}

// levelOf makes an outage one line for the provider, and not one for each volume.
func levelOf(err error) slog.Level {
	var failure *Error
	if errors.As(err, &failure) && failure.Reason == Unavailable {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}
