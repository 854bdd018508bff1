package delivery

import (
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// reasonOf is why an entry is not as the provider has it, or is not there at all.
func (e ending) reasonOf(entry layout.Entry) provider.Refusal {
	name := nameOf(entry)
	known, found := e.reasons[name]
	switch {
	case found:
		return known
	case entry.Held != nil: // by mount, for want of room, or since before
		return provider.Refusal{Name: name, Reason: provider.Invalid, Detail: entry.Held.Why}
	case entry.State == layout.Delivered: // it was, and "*" has it no more
		return provider.Refusal{Name: name, Reason: provider.Missing}
	}
	refusal := provider.Refusal{Name: name, Reason: provider.Reason(entry.State)}
	for _, notice := range entry.Notices {
		if notice.Code == entry.State {
			refusal.Detail = notice.Message
		}
	}
	return refusal
}

// takenAway names the required entries that the volume goes without because they were
// denied or deleted; empty if none is.
func (e ending) takenAway(spec Volume) string {
	return e.tell(spec, "withdrawn: ", func(entry layout.Entry) bool {
		return entry.Required && isWithdrawal(e.reasonOf(entry))
	})
}

// lacking names the required entries that the volume goes without although nobody took
// them away: they were not there when they broke.
func (e ending) lacking(spec Volume) string {
	return e.tell(spec, "", func(entry layout.Entry) bool {
		return entry.Required && entry.State != layout.Delivered && !isWithdrawal(e.reasonOf(entry))
	})
}

// heldBack names the entries that stand as they were, of those whose reason is wanted; nil
// wants all.
func (e ending) heldBack(spec Volume, wanted func(provider.Refusal) bool) string {
	return e.tell(spec, "held as delivered before: ", func(entry layout.Entry) bool {
		return entry.Held != nil && (wanted == nil || wanted(e.reasonOf(entry)))
	})
}

// tell describes the volume's entries that are chosen; empty if none is.
func (e ending) tell(spec Volume, intro string, chosen func(layout.Entry) bool) string {
	var refusals []provider.Refusal
	for _, entry := range e.lines {
		if chosen(entry) {
			refusals = append(refusals, e.reasonOf(entry))
		}
	}
	if len(refusals) == 0 {
		return ""
	}
	told, _ := tellRefused(spec, refusals)
	return intro + told
}

// stillShown are the entries of content that the volume at target delivers.
func stillShown(shown layout.Manifest, alone content) (names []string) {
	for _, entry := range shown.Entries {
		if _, taken := alone.reasons[nameOf(entry)]; taken && entry.State == layout.Delivered {
			names = append(names, entry.Kind+"/"+entry.ID)
		}
	}
	return names
}
