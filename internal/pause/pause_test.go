package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestJittered(t *testing.T) {
	for range 1000 {
		length := Jittered(time.Second)
		assert.GreaterOrEqual(t, length, time.Second/2)
		assert.LessOrEqual(t, length, time.Second)
	}
	assert.Zero(t, Jittered(0))
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		assert.True(t, Wait(t.Context(), time.Minute))
		assert.Equal(t, time.Minute, time.Since(began))
		assert.True(t, Wait(t.Context(), 0))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.False(t, Wait(ctx, time.Minute))
		assert.Equal(t, time.Minute+time.Second, time.Since(began))
		assert.False(t, Wait(ctx, 0))
	})
}
