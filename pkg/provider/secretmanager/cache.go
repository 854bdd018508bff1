package secretmanager

import (
	"container/list"
	"sync"
	"time"
)

// sweepEvery is how much longer than it lasts a value may lie in memory.
const sweepEvery = time.Minute

// overhead is about what a cache takes to keep a value, besides the value.
const overhead = 256

// cache holds values until they expire or until it is full, when the one that nobody
// asked for the longest makes room.
type cache[V any] struct {
	mu       sync.Mutex
	byKey    map[cacheKey]*list.Element
	recent   *list.List // of *cached[V], the most recently used first
	capacity int
	size     int
	sweep    *time.Timer // runs while there is anything to expire
}

type cached[V any] struct {
	key     cacheKey
	value   V
	size    int
	expires time.Time
}

func newCache[V any](capacity int) *cache[V] {
	return &cache[V]{byKey: map[cacheKey]*list.Element{}, recent: list.New(), capacity: capacity}
}

func (c *cache[V]) get(key cacheKey) (value V, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.byKey[key]
	if element == nil {
		return value, false
	}
	entry := element.Value.(*cached[V])
	if !time.Now().Before(entry.expires) {
		c.remove(element)
		return value, false
	}
	c.recent.MoveToFront(element)
	return entry.value, true
}

// put keeps a value for a while. What is larger than the whole cache is not kept.
func (c *cache[V]) put(key cacheKey, value V, size int, lasting time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeExpired()
	if old := c.byKey[key]; old != nil {
		c.remove(old)
	}
	if size > c.capacity {
		return
	}
	for c.size+size > c.capacity {
		c.remove(c.recent.Back())
	}
	c.size += size
	c.byKey[key] = c.recent.PushFront(&cached[V]{key, value, size, time.Now().Add(lasting)})
	if c.sweep == nil {
		c.sweep = time.AfterFunc(sweepEvery, c.expire)
	}
}

// expire keeps no secret in memory for want of somebody asking for another.
func (c *cache[V]) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeExpired()
	c.sweep = nil
	if len(c.byKey) > 0 {
		c.sweep = time.AfterFunc(sweepEvery, c.expire)
	}
}

func (c *cache[V]) drop(key cacheKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.byKey[key]; element != nil {
		c.remove(element)
	}
}

func (c *cache[V]) removeExpired() {
	now := time.Now()
	for element := c.recent.Front(); element != nil; {
		next := element.Next()
		if !now.Before(element.Value.(*cached[V]).expires) {
			c.remove(element)
		}
		element = next
	}
}

func (c *cache[V]) remove(element *list.Element) {
	entry := c.recent.Remove(element).(*cached[V])
	delete(c.byKey, entry.key)
	c.size -= entry.size
}
