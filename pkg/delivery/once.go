package delivery

import (
	"strings"
	"sync"
)

// mostNoticed is more than a node's pods have entries with notices.
const mostNoticed = 4096

// once remembers what has been said, within bounds: when it is full it forgets all, and
// things are said again.
type once struct {
	mu   sync.Mutex
	said map[string]struct{}
}

// first reports whether this is the first time that it hears of key.
func (o *once) first(key ...string) bool {
	joined := strings.Join(key, "\x00")
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, found := o.said[joined]; found {
		return false
	}
	if o.said == nil || len(o.said) >= mostNoticed {
		o.said = map[string]struct{}{}
	}
	o.said[joined] = struct{}{}
	return true
}
