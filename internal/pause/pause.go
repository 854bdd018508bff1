// Package pause waits before something is tried again.
package pause

import (
	"context"
	"math/rand/v2"
	"time"
)

// Jittered is between half of length and all of it, so that many who failed at once do not
// try again at once.
func Jittered(length time.Duration) time.Duration {
	return length/2 + rand.N(length/2+1)
}

// mostAfter bounds what After waits.
const mostAfter = 100 * time.Millisecond

// After waits nine times as long as it is since began, a tenth of a second at most: who does something
// again and again for somebody else has a tenth of its time taken by that.
func After(ctx context.Context, began time.Time) { Wait(ctx, min(9*time.Since(began), mostAfter)) }

// Wait waits that long; false if ctx ends first.
func Wait(ctx context.Context, length time.Duration) bool {
	if length <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
