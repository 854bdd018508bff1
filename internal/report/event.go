package report

import (
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// Recorder tells whoever looks at a pod what goes wrong with its volume. Record returns
// at once, drops what it has no room for, and is safe for concurrent use.
type Recorder interface {
	Record(volume Volume, reason EventReason, message string)
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
	EventSourceUnavailable   EventReason = "SourceUnavailable"
	EventVolumeFailed        EventReason = "VolumeFailed"
	EventVolumeStale         EventReason = "VolumeStale"
	EventServedOffline       EventReason = "ServedOffline"
	EventKeyStoredInCore     EventReason = "KeyStoredInCore"
	EventCredentialIgnored   EventReason = "CredentialIgnored"
	EventReadAsMeant         EventReason = "ReadAsMeant"
	EventSubPathNotRotated   EventReason = "SubPathNotRotated"
)

// Events is what the pod of one volume was told. It is safe for concurrent use.
type Events struct {
	mu sync.Mutex
	// last are what still lasts.
	last map[eventKey]bool
	// stale is set while the pod knows that its files are.
	stale bool
}

// eventKey is one thing that an event tells of.
type eventKey struct {
	event EventReason
	about string
}

// record records what is wrong, unless the pod knows, and reports whether any of it is new.
// What was wrong before a delivery that failed is so still.
func (e *Events) record(r Report, recorder Recorder) (news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	lasting := map[eventKey]bool{}
	if r.Failure != nil {
		maps.Copy(lasting, e.last)
	}
	for _, one := range r.troubles {
		if one.event == "" {
			continue
		}
		isNew := false
		for _, about := range one.keys {
			key := eventKey{one.event, about}
			isNew = isNew || !e.last[key]
			lasting[key] = true
		}
		for _, about := range one.awaited {
			isNew = !e.keep(about, lasting) || isNew
		}
		if isNew {
			news = true
			recorder.Record(r.Volume, one.event, one.text)
		}
	}
	if e.last = lasting; len(lasting) == 0 {
		e.last = nil // which is how most are, for as long as the volume lasts
	}
	return news
}

// keep keeps what the pod was told of an entry that is held, while its reference is awaited. It
// reports false if that is nothing.
func (e *Events) keep(about string, lasting map[eventKey]bool) (told bool) {
	for _, event := range heldEvents() {
		if key := (eventKey{event, about}); e.last[key] {
			lasting[key], told = true, true
		}
	}
	if !told {
		lasting[eventKey{EventEntryHeld, about}] = true
	}
	return told
}

// heldEvents are the reasons of events that tell of entries which are held.
func heldEvents() []EventReason {
	return []EventReason{EventEntryHeld, EventReferenceUnresolved, EventEntryInvalid}
}

// TurnedStale takes in whether the files are stale, and reports whether they have become so.
func (e *Events) TurnedStale(stale bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.stale
	e.stale = stale
	return stale && !was
}

// recordWithdrawn tells of entries that have just left the files though nobody requires them.
func (r Report) recordWithdrawn(recorder Recorder) {
	var left []layout.Entry
	for _, entry := range r.Withdrawn {
		if !entry.Needed {
			left = append(left, entry.Why)
		}
	}
	if len(left) > 0 {
		short, _ := Describe(r.Volume, left)
		recorder.Record(r.Volume, EventEntryWithdrawn, "withdrawn: "+short)
	}
}

// recordSubPaths tells of containers that this rotation did not reach, at each one: what they see
// is older each time.
func (r Report) recordSubPaths(log *slog.Logger, recorder Recorder) {
	if len(r.SubPaths) == 0 {
		return
	}
	names := make([]string, len(r.SubPaths))
	for i, name := range r.SubPaths {
		names[i] = strconv.Quote(name)
	}
	text := "mounted by subPath in container " + strings.Join(names, ", ") + ", where this rotation did not arrive: " +
		"a directory is empty there now, a file has its old value; mount the volume whole"
	recorder.Record(r.Volume, EventSubPathNotRotated, text)
	log.With(r.Volume.LogAttrs()...).Warn("a rotation did not reach a subPath", logkey.Notice, text)
}
