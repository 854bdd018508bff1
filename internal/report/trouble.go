package report

import (
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// trouble is one thing that is wrong with a volume, for as long as it is.
type trouble struct {
	// event is the reason of the event that tells of it, if one does.
	event EventReason
	text  string
	// keys are what it is about. Of one event each key is told once.
	keys []string
	// awaited are the keys of which nothing new is known.
	awaited []string
}

// Conclude finds out what is wrong with the volume. Whoever makes a report calls it once.
func (r *Report) Conclude() {
	if r.Pending.Err != nil {
		r.conclude(EventEntryNotWithdrawn, "taken away, and still in the files: "+r.Pending.Err.Error(), paths(r.Pending.Entries)...)
	}
	switch {
	case r.Superseded:
	case r.Failure != nil:
		r.conclude(r.failureEvent(), r.Failure.Message, r.failureKey())
		r.concludeOfWithdrawn()
	case r.Offline:
		r.conclude(EventServedOffline, "the files are what this node was given for a pod like this one before "+
			r.Volume.Source+" could not be asked any more", "")
	default:
		r.concludeOfWithdrawn()
		r.concludeOfHeld()
	}
}

func (r *Report) concludeOfWithdrawn() {
	r.concludeOf(EventEntryWithdrawn, "withdrawn: ", func(e Entry) bool { return e.Required && e.isWithdrawn() })
}

func (r *Report) concludeOfHeld() {
	for _, event := range heldEvents() {
		r.concludeOf(event, "held as delivered before: ", func(e Entry) bool { return e.Held != nil && e.event() == event })
	}
	// What was not there when it broke; its notice makes the event.
	r.concludeOf("", "", func(e Entry) bool {
		return e.Required && e.State != layout.Delivered && !e.isWithdrawn()
	})
}

func (r *Report) conclude(event EventReason, text string, keys ...string) {
	r.troubles = append(r.troubles, trouble{event: event, text: text, keys: keys})
}

// concludeOf concludes something of the volume's entries that are chosen, if any is. Why they
// are held is no part of their keys, since a cloud finds other words each time.
func (r *Report) concludeOf(event EventReason, intro string, chosen func(Entry) bool) {
	one := trouble{event: event}
	var why []layout.Entry
	for _, entry := range r.Entries {
		if !chosen(entry) {
			continue
		}
		key := pathOf(entry.Entry)
		if event == EventEntryWithdrawn {
			key += "@" + string(entry.Why.State)
		}
		if entry.Awaited {
			one.awaited = append(one.awaited, key)
		} else {
			one.keys = append(one.keys, key)
		}
		why = append(why, entry.Why)
	}
	if len(why) == 0 {
		return
	}
	short, _ := Describe(r.Volume, why)
	one.text = intro + short
	r.troubles = append(r.troubles, one)
}

// event is the reason of the event that tells of an entry which is not fresh.
func (e Entry) event() EventReason {
	switch {
	case e.Why.State == layout.Unavailable:
		return EventEntryHeld
	case e.Unresolved:
		return EventReferenceUnresolved
	default:
		return EventEntryInvalid
	}
}

// failureEvent is none for a pod that goes while its files are on their way, and for an
// outage that takes nothing from a pod that runs.
func (r *Report) failureEvent() EventReason {
	switch r.Failure.Reason {
	case Busy, Cancelled:
		return ""
	case Unavailable, Deadline:
		if r.IsLive {
			return ""
		}
		return EventSourceUnavailable
	case Unauthenticated:
		return EventTokenRefused
	case Denied:
		return EventEntryDenied
	case Missing:
		return EventEntryMissing
	case Invalid:
		if r.Failure.Unresolved {
			return EventReferenceUnresolved
		}
		return EventEntryInvalid
	default:
		return EventVolumeFailed
	}
}

// failureKey leaves out a message that is new each time: of files, or of how long ago a token ended and what the clock
// says.
func (r *Report) failureKey() string {
	switch r.failureEvent() {
	case EventVolumeFailed, EventTokenRefused:
		return r.Failure.Reason.String()
	default:
		return r.Failure.Message
	}
}

// paths name entries as logs do.
func paths(lines []layout.Entry) []string {
	named := make([]string, len(lines))
	for i, line := range lines {
		named[i] = pathOf(line)
	}
	return named
}

func pathOf(line layout.Entry) string { return string(line.Kind) + "/" + line.ID }
