package core

import (
	"sync"
	"time"
)

// contract remembers that the server lacks our contract. The memory is lost with the
// connection and after a while, so that a core that is upgraded, rolled back or half
// of each behind one address is found out. Our own contract needs no memory: it is
// asked for whenever this one has nothing to say.
type contract struct {
	line         *line
	reprobeAfter time.Duration

	mu         sync.Mutex
	existing   bool
	connection int64
	until      time.Time
}

// isExisting reports whether only the existing contract is worth asking for.
func (c *contract) isExisting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.existing && c.connection == c.line.count.Load() && time.Now().Before(c.until)
}

// rememberExisting reports whether that is news.
func (c *contract) rememberExisting() (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	news = !c.existing
	c.existing, c.connection, c.until = true, c.line.count.Load(), time.Now().Add(c.reprobeAfter)
	return news
}

// rememberOurs reports whether that is news.
func (c *contract) rememberOurs() (news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	news = c.existing
	c.existing = false
	return news
}
