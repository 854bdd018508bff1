package deliver

import (
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// content is what a volume is to hold. What of it is held, mount settles.
type content struct {
	entries []mount.Entry
	// identities are those that entries may speak of.
	identities []seam.Identity
	// rest keeps what the volume shows besides.
	rest bool
	// reasons say of the entries that are not fresh why.
	reasons map[layout.Name]reason
	// late is set if any of these may be had soon.
	late bool
}

// reason is the line that an entry would have if it were not held. An awaited one may give none.
type reason struct {
	layout.Entry
	// unresolved is set if it is for the entry's reference.
	unresolved bool
}

// fate is what becomes of an entry in the volume.
type fate int

const (
	deliver fate = iota // its file is there
	hold                // its file stays as it is
	leave               // it has no file
	fail                // the volume is not made
)

// fateOf is the one table by which a volume is made:
//
//	the source says           new volume, required   new volume, optional   live volume
//	a value                   deliver                deliver                deliver
//	denied, missing           fail                   leave                  leave
//	unavailable               fail                   fail                   hold
//	invalid                   fail                   leave                  hold
//
// On a live volume no entry waits for another, and none is taken away for another's sake.
func fateOf(state layout.State, required, live bool) fate {
	switch {
	case state == layout.Delivered:
		return deliver
	case live && isWithdrawal(state):
		return leave
	case live:
		return hold
	case required, state == layout.Unavailable:
		return fail
	default:
		return leave
	}
}

// isWithdrawal tells what somebody took away from what somebody broke.
func isWithdrawal(state layout.State) bool {
	return state == layout.Denied || state == layout.Missing
}

// contentOf makes the volume's content of the entries, or fails for all that keep it from
// being made.
func contentOf(t task, entries []seam.Entry) (content, error) {
	made := content{entries: make([]mount.Entry, 0, len(entries)), reasons: map[layout.Name]reason{}}
	var failed []layout.Entry
	unresolved, tooLarge, requires := false, 0, t.spec.required()
	for _, e := range entries {
		required := requires[e.Name()]
		// Who needs it in the environment has to be told of one that is too long.
		e.Required = required && (e.State != layout.Delivered || e.Has(layout.NoticeTooLong))
		made.late = made.late || t.live && (e.Refers || e.State == layout.Unavailable)
		if e.State != layout.Delivered {
			why := reason{e.Entry, e.Refers && e.Reason() != ""}
			made.reasons[e.Name()], unresolved = why, unresolved || why.unresolved
		}
		message := mount.Entry{Entry: e.Entry, Value: e.Value, JSON: e.JSON, Optional: !required}
		switch fateOf(e.State, required, t.live) {
		case fail:
			failed = append(failed, e.Entry)
			if e.TooLarge {
				tooLarge++
			}
		case hold:
			message.Hold, message.Why = true, e.Reason()
			if e.State == layout.Invalid && message.Why == "" {
				message.Why = "it cannot be delivered"
			}
		case deliver, leave:
		}
		made.entries = append(made.entries, message)
	}
	if len(failed) > 0 {
		failure := failureOf(t.spec, failed)
		failure.Unresolved = unresolved
		if tooLarge == len(failed) {
			failure.Reason = report.NoSpace
		}
		return content{}, failure
	}
	return made, nil
}

// givenOf are the entries that nobody took away.
func givenOf(entries []seam.Entry) map[layout.Name]bool {
	given := make(map[layout.Name]bool, len(entries))
	for _, e := range entries {
		given[e.Name()] = !isWithdrawal(e.State)
	}
	return given
}
