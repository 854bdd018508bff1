package deliver

import (
	"errors"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
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
func (e ending) reportOf(t task, cause string, health report.Health) report.Report {
	gone := errors.Is(e.err, mount.ErrNotMounted)
	made := report.Report{
		Volume: subject(t.spec), Cause: t.whyNow(cause), Superseded: e.superseded, MountGone: gone,
		WasLive: t.live, IsLive: e.generation > 0 || health.Generation > 0 && !gone,
		Generation: e.generation, Confirmed: e.confirmed, Changed: e.changed, Offline: e.offline, Late: e.late,
		Entries: e.entriesOf(t.spec, t.own(e.lines), false), Withdrawn: e.entriesOf(t.spec, e.withdrawn, true), Pending: e.pending,
		Took: time.Since(t.begun.Began),
	}
	if e.err != nil && !errors.As(e.err, &made.Failure) {
		made.Failure = report.Failf(report.Internal, e.err, "%v", e.err)
	}
	if told := t.begun.NotifiedAt; made.Rotated() && !told.IsZero() {
		made.Lag = time.Since(told)
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
	for i, line := range lines {
		made[i].Entry = line
		if gone || line.State != layout.Delivered || line.Held != nil {
			made[i].Why = e.reasonOf(line)
			made[i].Awaited = isAwaited(e.reasons[line.Name()])
			made[i].Unresolved = line.Kind == layout.Connection && slices.Contains(e.unresolved, line.ID)
		}
		made[i].Needed = gone && spec.wanted(line.Kind).requires(line.ID)
	}
	return made
}

// reasonOf is the line that says why an entry is not as the provider has it, or is not there
// at all.
func (e ending) reasonOf(line layout.Entry) layout.Entry {
	known, found := e.reasons[line.Name()]
	isUnexplained := isAwaited(known) && known.Reason() == ""
	switch {
	case found && !isUnexplained:
		return known
	case line.Held != nil && isUnexplained:
		return entry.Refused(line.Name(), entry.Unavailable, line.Held.Why).Entry
	case line.Held != nil: // by mount, for want of room, or since before
		return entry.Refused(line.Name(), entry.Invalid, line.Held.Why).Entry
	case line.State == layout.Delivered: // it was, and "*" has it no more
		return entry.Refused(line.Name(), entry.Missing, "").Entry
	}
	return line
}

// stillShown are the entries of content that the volume at target delivers.
func stillShown(shown layout.Manifest, alone content) (lines []layout.Entry) {
	for _, line := range shown.Entries {
		if _, taken := alone.reasons[line.Name()]; taken && line.State == layout.Delivered {
			lines = append(lines, line)
		}
	}
	return lines
}

// whyNow is why the delivery began.
func (t task) whyNow(cause string) string {
	switch {
	case cause == publishing && t.live:
		return "republish"
	case cause == publishing:
		return publishing
	case !t.begun.NotifiedAt.IsZero():
		return "watch"
	case t.failures > 0:
		return "retry"
	default:
		return "poll"
	}
}

// record makes the report of a delivery and takes it in. Whatever happens, the volume is not
// under way any more.
func (d *Deliverer) record(t task, cause string, e ending) (made report.Report) {
	_, health := d.set.look(t.volume)
	err := d.guard(t.spec, func() error { made = e.reportOf(t, cause, health); return nil })
	if err != nil {
		made = ending{err: err}.reportOf(t, cause, health)
	}
	d.set.end(t, made)
	return made
}
