package report

import (
	"strings"
	"sync"
)

// mostNoticed is more than a node's pods have entries with notices.
const mostNoticed = 4096

// Said remembers what has been said, within bounds: when it is full it forgets all, and
// things are said again.
type Said struct {
	mu   sync.Mutex
	said map[string]struct{}
}

// first reports whether this is the first time that it hears of key.
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
