// Package cache keeps values in memory for a while, within bounds.
package cache

import (
	"container/list"
	"sync"
	"time"
)

// Cache holds values until they expire, also if nobody asks for another then, or until it
// is full, when the one that nobody asked for the longest makes room. Make it with New.
//
// Others' caches do not do for secrets: apimachinery's LRUExpireCache counts entries, not
// bytes, and lets go of an expired one no sooner than somebody asks for it or it is the
// oldest of too many.
type Cache[K comparable, V any] struct {
	capacity int
	gone     func(V)

	mu     sync.Mutex
	size   int
	places map[K]*list.Element
	recent *list.List // of *kept[K, V], the most recently used first
}

type kept[K comparable, V any] struct {
	key     K
	value   V
	size    int
	expires time.Time
	expiry  *time.Timer
}

// New returns a cache for values of that size together. gone, if there is one, is called
// for each value that it lets go of, under the lock that Use holds.
func New[K comparable, V any](capacity int, gone func(V)) *Cache[K, V] {
	if gone == nil {
		gone = func(V) {}
	}
	return &Cache[K, V]{capacity: capacity, gone: gone, places: map[K]*list.Element{}, recent: list.New()}
}

// Get returns the value that is kept under key.
func (c *Cache[K, V]) Get(key K) (value V, found bool) {
	found = c.Use(key, func(kept V) { value = kept })
	return value, found
}

// Use calls use with the value that is kept under key, which is not let go of meanwhile.
func (c *Cache[K, V]) Use(key K, use func(V)) (found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place := c.places[key]
	if place == nil || !time.Now().Before(place.Value.(*kept[K, V]).expires) {
		return false
	}
	c.recent.MoveToFront(place)
	use(place.Value.(*kept[K, V]).value)
	return true
}

// Put keeps a value for a while, in place of what was kept under key. What is larger than
// the whole cache is let go of at once.
func (c *Cache[K, V]) Put(key K, value V, size int, lasting time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.places[key])
	if size > c.capacity {
		c.gone(value)
		return
	}
	for c.size+size > c.capacity {
		c.remove(c.recent.Back())
	}
	made := &kept[K, V]{key: key, value: value, size: size, expires: time.Now().Add(lasting)}
	place := c.recent.PushFront(made)
	c.size += size
	c.places[key] = place
	made.expiry = time.AfterFunc(lasting, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.places[key] == place {
			c.remove(place)
		}
	})
}

// Drop lets go of what is kept under key.
func (c *Cache[K, V]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.places[key])
}

// Len is how many values are kept.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.places)
}

func (c *Cache[K, V]) remove(place *list.Element) {
	if place == nil {
		return
	}
	old := c.recent.Remove(place).(*kept[K, V])
	old.expiry.Stop()
	delete(c.places, old.key)
	c.size -= old.size
	c.gone(old.value)
}
