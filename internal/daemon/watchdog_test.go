package daemon

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheWatchdogEndsADriverThatDoesNotAnswer(t *testing.T) {
	silent := errors.New("the CSI socket does not answer")
	for _, row := range []struct {
		name string
		// answers are the probes' in turn; those after them succeed.
		answers []error
		ends    bool
	}{
		{"well", nil, false},
		{"busy for a while", []error{silent, silent, silent, silent, nil, silent}, false},
		{"gone", []error{nil, silent, silent, silent, silent, silent}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				asked := 0
				err := Watchdog(ctx, slog.New(slog.DiscardHandler), func(context.Context) error {
					asked++
					if asked > len(row.answers) {
						return nil
					}
					return row.answers[asked-1]
				})
				if !row.ends {
					require.NoError(t, err)
					return
				}
				require.EqualError(t, err, "ending, since 5 probes in a row failed: the CSI socket does not answer")
				assert.Len(t, row.answers, asked)
			})
		})
	}
}

func TestTheWatchdogDoesNotWaitForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := Watchdog(t.Context(), slog.New(slog.DiscardHandler), func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(began), watchFailures*watchEvery+watchPatience)
	})
}

// TestAPartThatHangsDoesNotKeepTheProcess has one not heed that ctx ended.
func TestAPartThatHangsDoesNotKeepTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		hangs := make(chan struct{})
		defer close(hangs)
		time.AfterFunc(time.Hour, func() { cancel(why) })
		began := time.Now()
		err := WaitFor(ctx, func() error { <-hangs; return nil }, time.Minute)
		require.ErrorIs(t, err, why)
		require.ErrorContains(t, err, "a part of the program did not end in time")
		assert.Equal(t, time.Hour+time.Minute, time.Since(began))
		assert.Equal(t, why, WaitFor(ctx, func() error { return why }, time.Minute))
	})
}
