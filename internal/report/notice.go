package report

import (
	"log/slog"
	"strings"
	"sync"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
)

// noticeEvents are the notices that pods hear of, by their codes.
var noticeEvents = map[string]EventReason{
	"key-stored-in-core": EventKeyStoredInCore,
	"credential-ignored": EventCredentialIgnored,
	"read-as-meant":      EventReadAsMeant,
}

// mostTold bounds the notices of one volume that are passed on, the same each time: "*" may
// bring thousands of entries that somebody broke, of which all would be said again at every
// delivery once Said is full. The manifest has them all.
const mostTold = 100

// notices passes on what the entries' notices say: to the log once per entry and version,
// and to the first pod of each namespace that gets it.
func (r Report) notices(log *slog.Logger, recorder Recorder, said *Said) {
	passedOn := 0
	for _, entry := range r.Entries {
		for _, notice := range entry.Notices {
			reason, told := entry.noticeEvent(notice)
			if !told {
				continue
			}
			if passedOn++; passedOn > mostTold {
				return
			}
			key := []string{r.Volume.Source, pathOf(entry.Entry), entry.Version, notice.Code, notice.Message}
			if said.first(key...) {
				log.Warn("entry has a notice", logkey.Source, r.Volume.Source, logkey.Entry, pathOf(entry.Entry),
					logkey.Version, entry.Version, logkey.Code, notice.Code, logkey.Notice, notice.Message)
			}
			if said.first(append(key, r.Volume.Namespace)...) {
				recorder.Record(r.Volume, reason, entry.Name().String()+": "+notice.Message)
			}
		}
	}
}

// noticeEvent is the event that a notice makes; false for none. Pods ask for an optional
// entry whether it exists or not, but not for one that is broken.
func (e Entry) noticeEvent(notice layout.Notice) (EventReason, bool) {
	switch {
	case e.State == layout.Delivered:
		reason, found := noticeEvents[notice.Code]
		return reason, found
	case e.Required || e.State != layout.Invalid:
		return "", false
	}
	return e.event(), true
}

// mostNoticed is more than a node's pods have entries with notices.
const mostNoticed = 4096

// Said remembers what has been said, within bounds: when it is full it forgets all, and
// things are said again.
type Said struct {
	mu   sync.Mutex
	said map[string]struct{}
}

// first reports whether the key is new.
func (s *Said) first(key ...string) bool {
	joined := strings.Join(key, "\x00")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.said[joined]; found {
		return false
	}
	if s.said == nil || len(s.said) >= mostNoticed {
		s.said = map[string]struct{}{}
	}
	s.said[joined] = struct{}{}
	return true
}
