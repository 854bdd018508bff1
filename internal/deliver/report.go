package deliver

import (
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/internal/budget"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// ending is how a delivery of one volume ended.
type ending struct {
	content
	placement
	err     error
	pending report.Pending
}

// reportOf makes the report of a delivery; health is how the volume was just now.
func (e ending) reportOf(t task, health report.Health) report.Report {
	gone := errors.Is(e.err, mount.ErrNotMounted)
	made := report.Report{
		Volume: subject(t.spec), Cause: t.cause(), Superseded: e.superseded, MountGone: gone,
		WasLive: t.live, IsLive: e.Generation > 0 || health.Generation > 0 && !gone,
		Generation: e.Generation, Confirmed: e.confirmed, Changed: e.Changed, Offline: e.offline, Late: e.late,
		Entries: e.entriesOf(t.spec, t.own(e.Entries), false), Withdrawn: e.entriesOf(t.spec, e.Withdrawn, true), Pending: e.pending,
		Took: time.Since(t.begun.Began),
	}
	if e.err != nil && !errors.As(e.err, &made.Failure) {
		made.Failure = report.Failf(report.Internal, e.err, "%v", e.err)
	}
	if notified := t.begun.NotifiedAt; made.Rotated() && !notified.IsZero() {
		made.Lag = time.Since(notified)
	}
	if made.Rotated() {
		made.SubPaths = subPathContainers(t.spec.TargetPath)
	}
	made.Conclude()
	return made
}

// subject is what a report has to know of a volume.
func subject(spec Volume) report.Volume {
	return report.Volume{
		ID: spec.ID, Source: spec.Provider, Namespace: spec.Pod.Namespace,
		Pod: spec.Pod.PodName, PodUID: spec.Pod.PodUID, ServiceAccount: spec.Pod.ServiceAccount,
	}
}

func (e ending) entriesOf(spec Volume, lines []layout.Entry, gone bool) []report.Entry {
	made := make([]report.Entry, len(lines))
	var requires map[layout.Name]bool
	if gone && len(lines) > 0 {
		requires = spec.required()
	}
	for i, line := range lines {
		made[i].Entry = line
		if gone || line.State != layout.Delivered || line.Held != nil {
			why := e.reasons[line.Name()]
			made[i].Why, made[i].Unresolved, made[i].Awaited = why.of(line), why.unresolved, seam.IsAwaited(why.Entry)
		}
		made[i].Needed = requires[line.Name()]
	}
	return made
}

// of is the line that says why an entry is not as the provider has it, or is not there at all,
// where that is its line of the manifest.
func (r reason) of(line layout.Entry) layout.Entry {
	isUnexplained := seam.IsAwaited(r.Entry) && r.Reason() == ""
	switch {
	case r.State != "" && !isUnexplained:
		return r.Entry
	case line.Held != nil && isUnexplained:
		return seam.Refused(line.Name(), layout.Unavailable, line.Held.Why).Entry
	case line.Held != nil: // by mount, for want of room, or since before
		return seam.Refused(line.Name(), layout.Invalid, line.Held.Why).Entry
	case line.State == layout.Delivered: // it was, and "*" has it no more
		return seam.Refused(line.Name(), layout.Missing, "").Entry
	}
	return line
}

// cause is why the delivery began.
func (t task) cause() string {
	switch {
	case t.podWaits:
		return "publish"
	case !t.begun.NotifiedAt.IsZero():
		return "watch"
	case t.begun.Failures > 0:
		return "retry"
	default:
		return "poll"
	}
}

// report makes the report of a delivery, takes it in and sends it to whoever reads it. It returns
// why the delivery failed. Whatever happens, the share is not under way any more.
func (d *Deliverer) report(t task, e ending) error {
	_, health := d.set.look(t.share)
	var made report.Report
	err := d.guard.Run(subject(t.spec), func() error { made = e.reportOf(t, health); return nil })
	if err != nil {
		made = ending{err: err}.reportOf(t, health)
	}
	d.set.end(t, made)
	err = d.guard.Run(subject(t.spec), func() error {
		if made.Failure != nil && made.Failure.Reason == report.NoMemory {
			d.logHolders(t)
		}
		made.Send(d.Readers, &t.events, &d.said)
		return nil
	})
	if made.Failure != nil {
		return made.Failure
	}
	return err
}

// mostHolders bounds the namespaces that a line names.
const mostHolders = 8

// logHolders tells the operator, and nobody else, who has the memory that a volume does not get.
func (d *Deliverer) logHolders(t task) {
	memory := d.Budget.State()
	held := make([]string, 0, mostHolders)
	for _, part := range memory.ByNamespace[:min(mostHolders, len(memory.ByNamespace))] {
		held = append(held, part.Namespace+": "+budget.Bytes(part.Bytes).String())
	}
	d.Log.With(subject(t.spec).LogAttrs()...).Warn("no memory for a volume", logkey.Held, held,
		logkey.Volumes, budget.Bytes(memory.Volumes).String(), logkey.Limit, budget.Bytes(memory.Limit).String())
}
