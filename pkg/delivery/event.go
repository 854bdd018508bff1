package delivery

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/policy"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Recorder tells whoever looks at a pod what goes wrong with its volume. Record returns
// at once, drops what it has no room for, and is safe for concurrent use.
type Recorder interface {
	Record(pod provider.Identity, reason EventReason, message string)
}

// EventReason is what an event is about, for whoever searches by it.
type EventReason string

// The reasons of events; docs/events.md tells them.
const (
	EventEntryMissing        EventReason = "EntryMissing"
	EventEntryDenied         EventReason = "EntryDenied"
	EventEntryInvalid        EventReason = "EntryInvalid"
	EventEntryHeld           EventReason = "EntryHeld"
	EventEntryWithdrawn      EventReason = "EntryWithdrawn"
	EventEntryNotWithdrawn   EventReason = "EntryNotWithdrawn"
	EventReferenceUnresolved EventReason = "ReferenceUnresolved"
	EventTokenRefused        EventReason = "TokenRefused"
	EventProviderUnavailable EventReason = "ProviderUnavailable"
	EventVolumeFailed        EventReason = "VolumeFailed"
	EventVolumeStale         EventReason = "VolumeStale"
	EventServedOffline       EventReason = "ServedOffline"
	EventKeyStoredInCore     EventReason = "KeyStoredInCore"
	EventCredentialIgnored   EventReason = "CredentialIgnored"
	EventReadAsMeant         EventReason = "ReadAsMeant"
)

// noticeEvents are the notices that pods hear of.
var noticeEvents = map[string]EventReason{
	policy.KeyStoredInCore:   EventKeyStoredInCore,
	policy.CredentialIgnored: EventCredentialIgnored,
	policy.ReadAsMeant:       EventReadAsMeant,
}

// deaf is the Recorder of those who tell nobody.
type deaf struct{}

func (deaf) Record(provider.Identity, EventReason, string) {}

// tell tells the pod how its delivery ended, unless that is well or known, and reports
// whether any of it is new. What keeps a live volume from being looked at is told once
// that has made it stale.
func (d *Deliverer) tell(t task, e ending) (news bool) {
	lasting := e.events(t.spec)
	if e.err != nil && !d.concernsPod(t, e.err) {
		lasting = map[EventReason]event{}
	}
	if e.pending != nil {
		lasting[EventEntryNotWithdrawn] = event{strings.Join(e.standing, ","), "taken away, and still in the files: " + e.pending.Error()}
	}
	keys := make(map[EventReason]string, len(lasting))
	for reason, one := range lasting {
		keys[reason] = one.key
	}
	unheard := d.set.remember(t.volume, keys, e.err != nil)
	for _, reason := range unheard {
		d.Recorder.Record(t.spec.Pod, reason, lasting[reason].message)
	}
	if e.err == nil {
		d.tellWithdrawn(t.spec, e)
		d.tellNotices(t.spec, e)
	}
	return len(unheard) > 0
}

// event is what a pod is told. Two of one reason and one key are the same.
type event struct{ key, message string }

func eventOf(message string) event { return event{message, message} }

// events are those of what is wrong with the volume, for as long as it is.
func (e ending) events(spec Volume) map[EventReason]event {
	found := map[EventReason]event{}
	var failure *Error
	switch {
	case errors.As(e.err, &failure):
		told := eventOf(failure.Message)
		if reason := failureEvent(failure, e.content); reason == EventVolumeFailed {
			told.key = failure.Reason.String() // the message names files that are new each time
		}
		found[failureEvent(failure, e.content)] = told
		if text := e.takenAway(spec); text != "" {
			found[EventEntryWithdrawn] = eventOf(text)
		}
	case e.offline:
		found[EventServedOffline] = eventOf(servedOffline(spec))
	default:
		if text := e.takenAway(spec); text != "" {
			found[EventEntryWithdrawn] = eventOf(text)
		}
		e.eventsOfHeld(spec, found)
	}
	return found
}

// eventsOfHeld leaves why an entry is held out of the keys, since a cloud finds other words
// each time.
func (e ending) eventsOfHeld(spec Volume, found map[EventReason]event) {
	for _, reason := range []EventReason{EventEntryHeld, EventReferenceUnresolved, EventEntryInvalid} {
		is := func(refusal provider.Refusal) bool { return e.heldEvent(refusal) == reason }
		text := e.heldBack(spec, is)
		if text == "" {
			continue
		}
		var key []string
		for _, entry := range e.held() {
			if is(e.reasonOf(entry)) {
				key = append(key, entry.Kind+"/"+entry.ID)
			}
		}
		found[reason] = event{strings.Join(key, ","), text}
	}
}

func (e ending) heldEvent(refusal provider.Refusal) EventReason {
	switch {
	case refusal.Reason == unavailable:
		return EventEntryHeld
	case refusal.Name.Kind == provider.Connection && slices.Contains(e.unresolved, refusal.Name.ID):
		return EventReferenceUnresolved
	default:
		return EventEntryInvalid
	}
}

// tellWithdrawn tells of entries that have just left the files though nobody requires them.
func (d *Deliverer) tellWithdrawn(spec Volume, e ending) {
	var left []provider.Refusal
	for _, entry := range e.withdrawn {
		if !spec.wanted(provider.Kind(entry.Kind)).requires(entry.ID) {
			left = append(left, e.reasonOf(entry))
		}
	}
	if len(left) > 0 {
		told, _ := tellRefused(spec, left)
		d.Recorder.Record(spec.Pod, EventEntryWithdrawn, "withdrawn: "+told)
	}
}

// concernsPod is false for a pod that goes while its files are on their way, and for an
// outage that takes nothing from a pod that runs.
func (d *Deliverer) concernsPod(t task, err error) bool {
	var failure *Error
	return errors.As(err, &failure) && failure.Reason != Busy && (failure.Reason != Unavailable || !d.isLive(t.volume))
}

func failureEvent(failure *Error, composed content) EventReason {
	switch failure.Reason {
	case Unavailable:
		return EventProviderUnavailable
	case Unauthenticated:
		return EventTokenRefused
	case Denied:
		return EventEntryDenied
	case Missing:
		return EventEntryMissing
	case Invalid:
		if len(composed.unresolved) > 0 {
			return EventReferenceUnresolved
		}
		return EventEntryInvalid
	default:
		return EventVolumeFailed
	}
}

// tellNotices passes on what the entries' notices say: to the log once per entry and
// version, and to the first pod of each namespace that gets it.
func (d *Deliverer) tellNotices(spec Volume, e ending) {
	for _, entry := range e.lines {
		for _, notice := range entry.Notices {
			reason, told := e.noticeEvent(entry, notice)
			if !told {
				continue
			}
			subject := entry.Kind + " " + strconv.Quote(entry.ID)
			key := []string{spec.Provider, entry.Kind, entry.ID, entry.Version, notice.Code, notice.Message}
			if d.noticed.first(key...) {
				d.Log.Warn("entry has a notice", logkey.Provider, spec.Provider, logkey.Entry, entry.Kind+"/"+entry.ID,
					logkey.Version, entry.Version, logkey.Code, notice.Code, logkey.Notice, notice.Message)
			}
			if d.noticed.first(append(key, spec.Pod.Namespace)...) {
				d.Recorder.Record(spec.Pod, reason, subject+": "+notice.Message)
			}
		}
	}
}

// noticeEvent is the event that a notice makes; false for none. Pods ask for an optional
// entry whether it exists or not, but not for one that is broken.
func (c content) noticeEvent(entry layout.Entry, notice layout.Notice) (EventReason, bool) {
	switch {
	case entry.State == layout.Delivered:
		reason, found := noticeEvents[notice.Code]
		return reason, found
	case entry.Required || entry.State != string(provider.Invalid):
		return "", false
	case slices.Contains(c.unresolved, entry.ID):
		return EventReferenceUnresolved, true
	default:
		return EventEntryInvalid, true
	}
}

// tellStale tells the pods whose files have just become so old that they are in doubt.
func (d *Deliverer) tellStale() {
	for _, v := range d.set.turnedStale(time.Now()) {
		spec, health := d.set.look(v)
		message := "the files were last confirmed " + health.age() + " ago"
		if full, known := d.Health(spec.ID); known && full.Problem != "" {
			message = full.Problem
		}
		d.Recorder.Record(spec.Pod, EventVolumeStale, message)
	}
}
