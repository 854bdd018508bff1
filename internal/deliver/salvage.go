package deliver

import (
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// salvage carries out what a delivery that failed can do all the same: what was taken away leaves,
// and the manifest of a volume that is stale says of its entries since when and why they are held.
// If a withdrawal fails, and the volume still shows any of it, that is told.
func (d *Deliverer) salvage(t task, from answer, e *ending) {
	alone := withdrawal(t, from.Entries)
	if from.Err != nil && d.set.isStale(t.share) {
		alone = heldAsItStands(t, e.err.Error())
	}
	if len(alone.entries) == 0 {
		return
	}
	err := d.guard.run(t.spec, func() (err error) {
		placed, err := d.place([]task{t}, alone, from)
		if err == nil {
			e.placement, e.reasons = placed, alone.reasons
		}
		return err
	})
	if err == nil {
		return
	}
	isPending := func(line layout.Entry) bool {
		return line.State == layout.Delivered && isWithdrawal(alone.reasons[line.Name()].State)
	}
	if pending := selected(t.shown(), isPending); len(pending) > 0 {
		e.pending = report.Pending{Entries: pending, Err: err}
	}
}

// withdrawal is the content that takes away what is denied or missing, and touches nothing
// else: it needs no policy, no rendering and no room. Empty if nothing is.
func withdrawal(t task, entries []entry.Entry) content {
	taken := selected(entries, func(e entry.Entry) bool { return isWithdrawal(e.State) })
	made, _ := contentOf(t, taken) // on a live volume nothing fails
	made.rest = true
	return made
}

// heldAsItStands is the content that holds every entry which the share delivers, and touches
// nothing else.
func heldAsItStands(t task, why string) content {
	made := content{rest: true, reasons: map[entry.Name]reason{}}
	for _, line := range t.own(t.shown()) {
		if line.State == layout.Delivered {
			refused := entry.Refused(line.Name(), entry.Unavailable, why).Entry
			made.entries = append(made.entries, mount.Entry{Entry: refused, Hold: true, Why: why})
			made.reasons[line.Name()] = reason{Entry: refused}
		}
	}
	return made
}
