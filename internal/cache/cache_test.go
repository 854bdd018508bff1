package cache

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestACacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []int
		cache := New[int](10, func(value int) { gone = append(gone, value) })
		cache.Put(1, 1, 4, time.Hour)
		cache.Put(2, 2, 4, time.Hour)
		_, _ = cache.Get(1)
		cache.Put(3, 3, 4, time.Hour)

		_, kept := cache.Get(1)
		assert.True(t, kept, "what was asked for last stays")
		_, kept = cache.Get(2)
		assert.False(t, kept)
		assert.Equal(t, 8, cache.size)

		cache.Put(3, 30, 2, time.Hour)
		value, _ := cache.Get(3)
		assert.Equal(t, 30, value)
		assert.Equal(t, 6, cache.size)

		cache.Put(4, 4, 11, time.Hour)
		_, kept = cache.Get(4)
		assert.False(t, kept, "what is larger than the cache is not kept")
		assert.Equal(t, 6, cache.size)

		cache.Drop(1)
		cache.Drop(5)
		assert.Equal(t, []int{2, 3, 4, 1}, gone)
		assert.Equal(t, 1, cache.Len())
	})
}

func TestExpiredValuesLeaveMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []int
		cache := New[int](10, func(value int) { gone = append(gone, value) })
		cache.Put(1, 1, 1, time.Minute)
		cache.Put(2, 2, 1, time.Hour)
		cache.Put(2, 20, 1, 2*time.Hour)
		time.Sleep(time.Minute)
		_, kept := cache.Get(1)
		assert.False(t, kept, "at this very instant")
		synctest.Wait()
		assert.Equal(t, []int{2, 1}, gone, "though nobody asks for another")
		time.Sleep(time.Hour)
		_, kept = cache.Get(2)
		assert.True(t, kept, "it lasts as long as was said last")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []int{2, 1, 20}, gone)
		assert.Zero(t, cache.Len()+cache.size)
	})
}
