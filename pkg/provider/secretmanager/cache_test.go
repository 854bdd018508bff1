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
		func() { // the sweep runs beside us
			cache.mu.Lock()
			defer cache.mu.Unlock()
			assert.Len(t, cache.byKey, 2)
			assert.Equal(t, 2, cache.size)
		}()

		time.Sleep(2 * time.Hour)
		synctest.Wait()
		cache.mu.Lock()
		defer cache.mu.Unlock()
		assert.Empty(t, cache.byKey, "though nobody asks")
		assert.Nil(t, cache.sweep, "and then nothing runs")
	})
}
