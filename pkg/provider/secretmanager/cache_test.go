package secretmanager

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestCacheIsBounded(t *testing.T) {
	cache := newCache[int](10)
	key := func(n byte) cacheKey { return cacheKey{n} }
	cache.put(key(1), 1, 4, time.Hour)
	cache.put(key(2), 2, 4, time.Hour)
	_, _ = cache.get(key(1))
	cache.put(key(3), 3, 4, time.Hour)

	_, kept := cache.get(key(1))
	assert.True(t, kept, "what was asked for last stays")
	_, kept = cache.get(key(2))
	assert.False(t, kept)
	assert.Equal(t, 8, cache.size)

	cache.put(key(3), 30, 2, time.Hour)
	value, _ := cache.get(key(3))
	assert.Equal(t, 30, value)
	assert.Equal(t, 6, cache.size)

	cache.put(key(4), 4, 11, time.Hour)
	_, kept = cache.get(key(4))
	assert.False(t, kept, "what is larger than the cache is not kept")
	assert.Equal(t, 6, cache.size)
}

func TestExpiredValuesLeaveMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache[int](10)
		cache.put(cacheKey{1}, 1, 1, time.Minute)
		cache.put(cacheKey{2}, 2, 1, time.Hour)
		time.Sleep(2 * time.Minute)
		synctest.Wait() // for the sweep, which is due at this very instant
		cache.put(cacheKey{3}, 3, 1, time.Hour)
		entries, size, sweeps := cache.held()
		assert.Equal(t, 2, entries)
		assert.Equal(t, 2, size)
		assert.True(t, sweeps)

		time.Sleep(2 * time.Hour)
		synctest.Wait()
		entries, _, sweeps = cache.held()
		assert.Zero(t, entries, "though nobody asks")
		assert.False(t, sweeps, "and then nothing runs")
	})
}

// held reads what the sweep changes beside the test.
func (c *cache[V]) held() (entries, size int, sweeps bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byKey), c.size, c.sweep != nil
}
