package delivery

import (
	"errors"
	"slices"
	"strconv"
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
	EventEntryWithdrawn      EventReason = "EntryWithdrawn"
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

// tell tells the pod how its delivery ended, unless that is well or known. What keeps a
// live volume from being looked at is told once that has made it stale.
func (d *Deliverer) tell(t task, composed content, placed placement, err error) {
	var failure *Error
	switch {
	case errors.As(err, &failure):
		if d.concernsPod(t, failure.Reason) {
			d.tellOnce(t, failureEvent(failure, composed), failure.Message)
		}
	case placed.offline:
		d.tellOnce(t, EventServedOffline, servedOffline(t.spec))
	case composed.withdrawn != "":
		d.tellOnce(t, EventEntryWithdrawn, composed.withdrawn)
	default:
		d.set.hear(t.volume, "")
	}
	if err == nil && placed.changed {
		d.tellNotices(t.spec, composed)
	}
}

// concernsPod is false for a pod that goes while its files are on their way, and for an
// outage that takes nothing from a pod that runs.
func (d *Deliverer) concernsPod(t task, reason Reason) bool {
	return reason != Busy && (reason != Unavailable || !d.isLive(t.volume))
}

// tellOnce leaves out what the pod was told last.
func (d *Deliverer) tellOnce(t task, reason EventReason, message string) {
	if d.set.hear(t.volume, string(reason)+message) {
		d.Recorder.Record(t.spec.Pod, reason, message)
	}
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
func (d *Deliverer) tellNotices(spec Volume, composed content) {
	for _, entry := range composed.entries {
		for _, notice := range entry.Notices {
			reason, told := composed.noticeEvent(entry, notice)
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
	for _, v := range d.set.turnedStale(time.Now(), d.staleAfter) {
		spec, health := d.set.look(v)
		message := "the files were last confirmed " + health.age() + " ago"
		if full, known := d.Health(spec.ID); known && full.Problem != "" {
			message = full.Problem
		}
		d.Recorder.Record(spec.Pod, EventVolumeStale, message)
	}
}
