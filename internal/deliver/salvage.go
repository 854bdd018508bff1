package deliver

import (
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// salvage carries out what a delivery that failed can do all the same: what was taken away leaves,
// and the manifest of a volume that is stale says of its entries since when and why they are held.
// If a withdrawal fails, and the volume still shows any of it, that is told.
func (d *Deliverer) salvage(t task, from answer, e *ending) {
	alone := withdrawal(t, from)
	if from.Err != nil && d.set.isStale(t.share) {
		alone.hold(t, e.err.Error())
	}
	if len(alone.entries) == 0 {
		return
	}
	err := d.guard.Run(subject(t.spec), func() (err error) {
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
func withdrawal(t task, from answer) content {
	taken := selected(from.Entries, func(e seam.Entry) bool { return isWithdrawal(e.State) })
	if from.Err == nil {
		taken = append(taken, unmentioned(t, from.Entries)...)
	}
	made, _ := contentOf(t, taken) // on a live volume nothing fails
	made.rest = true
	return made
}

// unmentioned are the entries that "*" brought and brings no more: the answer to it does not
// speak of what is denied or missing.
func unmentioned(t task, entries []seam.Entry) (gone []seam.Entry) {
	all := map[layout.Kind]bool{layout.Connection: t.spec.Connections.All, layout.Variable: t.spec.Variables.All}
	given := givenOf(entries)
	for _, line := range t.own(t.shown()) {
		_, mentioned := given[line.Name()]
		if line.State == layout.Delivered && all[line.Kind] && !mentioned {
			gone = append(gone, seam.Refused(line.Name(), layout.Missing, ""))
		}
	}
	return gone
}

// hold holds every other entry which the share delivers.
func (c *content) hold(t task, why string) {
	for _, line := range t.own(t.shown()) {
		if _, leaves := c.reasons[line.Name()]; line.State == layout.Delivered && !leaves {
			refused := seam.Refused(line.Name(), layout.Unavailable, why).Entry
			c.entries = append(c.entries, mount.Entry{Entry: refused, Hold: true, Why: why})
			c.reasons[line.Name()] = reason{Entry: refused}
		}
	}
}
