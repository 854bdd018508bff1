package delivery

import (
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// reasonOf is the line that says why an entry is not as the provider has it, or is not there
// at all.
func (e ending) reasonOf(line layout.Entry) layout.Entry {
	known, found := e.reasons[line.Name()]
	switch {
	case found:
		return known
	case line.Held != nil: // by mount, for want of room, or since before
		return entry.Refused(line.Name(), entry.Invalid, line.Held.Why).Entry
	case line.State == layout.Delivered: // it was, and "*" has it no more
		return entry.Refused(line.Name(), entry.Missing, "").Entry
	}
	return line
}

// takenAway names the required entries that the volume goes without because they were
// denied or deleted; empty if none is.
func (e ending) takenAway(spec Volume) string {
	return e.tell(spec, "withdrawn: ", func(line layout.Entry) bool {
		return line.Required && isWithdrawal(e.reasonOf(line).State)
	})
}

// lacking names the required entries that the volume goes without although nobody took
// them away: they were not there when they broke.
func (e ending) lacking(spec Volume) string {
	return e.tell(spec, "", func(line layout.Entry) bool {
		return line.Required && line.State != layout.Delivered && !isWithdrawal(e.reasonOf(line).State)
	})
}

// heldBack names the entries that stand as they were, of those whose reason is wanted; nil
// wants all.
func (e ending) heldBack(spec Volume, wanted func(layout.Entry) bool) string {
	return e.tell(spec, "held as delivered before: ", func(line layout.Entry) bool {
		return line.Held != nil && (wanted == nil || wanted(e.reasonOf(line)))
	})
}

// tell describes the volume's entries that are chosen; empty if none is.
func (e ending) tell(spec Volume, intro string, chosen func(layout.Entry) bool) string {
	var refused []layout.Entry
	for _, line := range e.lines {
		if chosen(line) {
			refused = append(refused, e.reasonOf(line))
		}
	}
	if len(refused) == 0 {
		return ""
	}
	told, _ := tellRefused(spec, refused)
	return intro + told
}

// stillShown are the entries of content that the volume at target delivers.
func stillShown(shown layout.Manifest, alone content) (names []string) {
	for _, line := range shown.Entries {
		if _, taken := alone.reasons[line.Name()]; taken && line.State == layout.Delivered {
			names = append(names, pathOf(line))
		}
	}
	return names
}

// pathOf names an entry as logs do.
func pathOf(line layout.Entry) string { return string(line.Kind) + "/" + line.ID }
