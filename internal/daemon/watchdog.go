package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
)

const (
	// The watchdog waits out a busy node: the driver is given up after some 100 seconds.
	watchEvery    = 20 * time.Second
	watchPatience = 5 * time.Second
	watchFailures = 5
	// Deadline is how long after the grace for calls in flight the process ends, whatever
	// still runs.
	Deadline = 5 * time.Second
)

// Watchdog ends the driver once it has not answered itself for several times, so that it is
// started again. It asks over the CSI socket, which nobody but root can reach; a probe over
// the network could be kept waiting by every pod that reaches its port, and a probe that
// starts this program costs tens of milliseconds and of megabytes each time.
func Watchdog(ctx context.Context, log *slog.Logger, live func(context.Context) error) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(ctx, watchPatience)
		err := live(asking)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			failures = 0
			continue
		}
		if failures++; failures == watchFailures {
			return fmt.Errorf("ending, since %d probes in a row failed: %w", failures, err)
		}
		log.WarnContext(ctx, "the driver does not answer itself", logkey.Error, err)
	}
}

// WaitFor returns what wait does, or soon after ctx has ended: a part that hangs does not
// keep a process that is of no use.
func WaitFor(ctx context.Context, wait func() error, grace time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		return errors.Join(context.Cause(ctx), errors.New("a part of the program did not end in time"))
	}
}
