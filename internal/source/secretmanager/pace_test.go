package secretmanager

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/turn"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// scopeOf is a place as an identity sees it.
func scopeOf(identity byte, place string) outage.Scope {
	return outage.Scope{Place: place, Caller: string([]byte{identity})}
}

// try is for calls that bring no value.
func try(ctx context.Context, pace *pace, at outage.Scope, call func(context.Context) error) error {
	_, err := repeat(ctx, pace, at, func(ctx context.Context) (secret.Text, error) { return secret.Text{}, call(ctx) })
	return err
}

func TestTry(t *testing.T) {
	unavailable := &Failure{Kind: provider.ErrUnavailable}
	for _, row := range []struct {
		name     string
		failures []error
		calls    int
		err      error
	}{
		{"at once", nil, 1, nil},
		{"after a while", []error{unavailable, unavailable}, 3, nil},
		{"never", []error{unavailable, unavailable, unavailable, unavailable, unavailable}, 4, provider.ErrUnavailable},
		{"denied is not asked again", []error{&Failure{Kind: provider.ErrDenied}}, 1, provider.ErrDenied},
		{"missing is not asked again", []error{&Failure{Kind: provider.ErrMissing}}, 1, provider.ErrMissing},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := try(t.Context(), newPace(1, time.Minute), scopeOf(1, "a"), func(context.Context) error {
					calls++
					if calls <= len(row.failures) {
						return row.failures[calls-1]
					}
					return nil
				})
				assert.ErrorIs(t, err, row.err)
				assert.Equal(t, row.calls, calls)
			})
		})
	}
}

func TestBackoffGrows(t *testing.T) {
	for attempt := 1; attempt < attempts; attempt++ {
		longest := firstBackoff << (attempt - 1)
		for range 100 {
			length := backoff(attempt)
			require.True(t, longest/2 <= length && length < longest, length)
		}
	}
}

// TestThrottlingHoldsBackWhoeverAsksThere: one call is told to come back in 7 s; another,
// begun meanwhile, waits as long, and one to another place, or of another identity, does not.
func TestThrottlingHoldsBackWhoeverAsksThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := newPace(2, time.Minute)
		began := time.Now()
		throttled := make(chan struct{})
		go func() {
			calls := 0
			_ = try(t.Context(), pace, scopeOf(1, "a"), func(context.Context) error {
				if calls++; calls == 1 {
					return &Failure{Kind: provider.ErrUnavailable, Throttled: true, RetryAfter: 7 * time.Second}
				}
				return nil
			})
			close(throttled)
		}()
		synctest.Wait()
		require.NoError(t, try(t.Context(), pace, scopeOf(1, "b"), func(context.Context) error { return nil }))
		require.NoError(t, try(t.Context(), pace, scopeOf(2, "a"), func(context.Context) error { return nil }))
		assert.Zero(t, time.Since(began))
		require.NoError(t, try(t.Context(), pace, scopeOf(1, "a"), func(context.Context) error { return nil }))
		assert.GreaterOrEqual(t, time.Since(began), 7*time.Second)
		<-throttled
	})
}

func TestCallsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := newPace(6, time.Minute)
		release, done := make(chan struct{}), make(chan error)
		underway := make(chan struct{}, 10)
		for range 10 {
			go func() {
				done <- try(t.Context(), pace, scopeOf(1, "a"), func(context.Context) error {
					underway <- struct{}{}
					<-release
					return nil
				})
			}()
		}
		synctest.Wait()
		assert.Len(t, underway, 3, "a namespace alone has half of all")
		close(release)
		for range 10 {
			require.NoError(t, <-done)
		}
	})
}

// TestOneIdentityLeavesRoomForOthers has a hundred calls of one identity hang.
func TestOneIdentityLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace, hangs, done := newPace(4*callsOfOne, time.Minute), &silentPlace{}, make(chan error)
		for range 100 {
			go func() { done <- try(t.Context(), pace, scopeOf(1, "a"), hangs.call) }()
		}
		synctest.Wait()
		assert.EqualValues(t, callsOfOne, hangs.asked.Load())
		began := time.Now()
		require.NoError(t, try(t.Context(), pace, scopeOf(2, "a"), func(context.Context) error { return nil }))
		assert.Zero(t, time.Since(began))
		for range 100 {
			require.Error(t, <-done)
		}
		assert.Empty(t, pace.turns)
	})
}

// TestOneNamespaceLeavesRoomForOthers has calls hang of as many identities as would fill a cloud's
// calls by themselves.
func TestOneNamespaceLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const identities = 4
		pace, hangs, done := newPace(identities*callsOfOne, time.Minute), &silentPlace{}, make(chan error)
		evil := turn.For(t.Context(), "evil")
		for i := range identities * callsOfOne {
			go func() { done <- try(evil, pace, scopeOf(byte(i%identities), "a"), hangs.call) }()
		}
		synctest.Wait()
		assert.EqualValues(t, identities*callsOfOne/2, hangs.asked.Load())
		began := time.Now()
		require.NoError(t, try(turn.For(t.Context(), "bank"), pace, scopeOf(identities, "a"), succeeds))
		assert.Zero(t, time.Since(began))
		for range identities * callsOfOne {
			require.Error(t, <-done)
		}
	})
}

// TestACallThatHeedsNoDeadlineIsLeft is an SDK that waits for a lock.
func TestACallThatHeedsNoDeadlineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace, unlock, began := newPace(1, patience), make(chan struct{}), time.Now()
		err := try(t.Context(), pace, scopeOf(1, "a"), func(context.Context) error { <-unlock; return nil })
		require.ErrorIs(t, err, provider.ErrUnavailable)
		assert.Less(t, time.Since(began), 2*(patience+time.Second))
		require.NoError(t, try(t.Context(), pace, scopeOf(2, "a"), func(context.Context) error { return nil }), "its slot is free")
		close(unlock)
	})
}

func TestWaitingEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := newPace(1, time.Minute)
		pace.slowDown(scopeOf(1, "a"), &Failure{Throttled: true, RetryAfter: time.Hour}, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, try(ctx, pace, scopeOf(1, "a"), func(context.Context) error { return nil }), provider.ErrUnavailable)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

func TestEveryAttemptIsCountedByWhatItBrought(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := map[string]int{}
		pace := paceOf(withDefaults(Config{Called: func(code string) { counted[code]++ }}))
		for i, failure := range []error{
			nil, Unusable("binary"), &Failure{Kind: provider.ErrMissing}, &Failure{Kind: provider.ErrDenied}, &Failure{Kind: provider.ErrUnauthenticated},
			&Failure{Kind: provider.ErrTooLarge}, Unreachable("asking"), &Failure{Kind: provider.ErrUnavailable, Throttled: true},
		} {
			_, _ = repeat(t.Context(), pace, scopeOf(byte(i), "a"), func(context.Context) (string, error) { return "", failure })
		}
		assert.Equal(t, map[string]int{
			"OK": 1, "FailedPrecondition": 1, "NotFound": 1, "PermissionDenied": 1, "Unauthenticated": 1, "OutOfRange": 1,
			"Unavailable": attempts, "ResourceExhausted": attempts,
		}, counted)
	})
}
