package coreserver

import (
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
)

// mostCallers bounds the namespaces that are remembered.
const mostCallers = 1024

// callers are the namespaces whose pods core has seen. To list those of the cluster core would need
// the right to. The zero value is ready.
type callers struct {
	mu   sync.Mutex
	seen map[string]time.Time // when last
}

// note remembers a caller's namespace; where there are too many, the one that was seen longest ago
// is forgotten.
func (c *callers) note(who auth.Caller, now time.Time) {
	if who.Namespace == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]time.Time{}
	}
	if _, known := c.seen[who.Namespace]; !known && len(c.seen) >= mostCallers {
		oldest := who.Namespace
		for namespace, at := range c.seen {
			if earliest, set := c.seen[oldest]; !set || at.Before(earliest) {
				oldest = namespace
			}
		}
		delete(c.seen, oldest)
	}
	c.seen[who.Namespace] = now
}

// lately are the namespaces, the latest first.
func (c *callers) lately() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, 0, len(c.seen))
	for namespace := range c.seen {
		names = append(names, namespace)
	}
	slices.SortFunc(names, func(a, b string) int { return c.seen[b].Compare(c.seen[a]) })
	return names
}
