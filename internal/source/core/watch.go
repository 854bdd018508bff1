package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/pause"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

var (
	errSilent = errors.New("core sent no heartbeat")
	errMore   = errors.New("there are more tickets to show")
)

const (
	// shortestPause is where the backoff between two streams starts.
	shortestPause = 250 * time.Millisecond
	// mostSilent is how many streams in a row may say nothing at all before something
	// in between is taken to hold them back.
	mostSilent = 3
	// mostWordless is how many in a row may end before they say anything, although core
	// can be connected to: more than a core that starts or stops needs.
	mostWordless = 6
	// gathering is how long a stream that shows tickets stands at least before others end it:
	// a node's pods start in crowds, and the first of a crowd is shown at once.
	gathering = 250 * time.Millisecond
)

// Watch implements provider.Watcher under the node's own identity. Polling is needed
// just as where there is no Watch when core refuses that identity, and when streams
// stand and nothing comes through, or end before they say anything: the error is
// ErrWatchUnsupported then too, together with the reason. It is worth trying again after
// some minutes, since core may be upgraded or its rules changed.
func (c *Client) Watch(ctx context.Context, notify func(provider.Change)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.closed, cancel)()

	view, length, useless := view{notify: notify}, shortestPause, useless{}
	for level := slog.LevelWarn; ; level = slog.LevelDebug { // the first failure is news
		began := time.Now()
		heard, err := c.watchOnce(ctx, &view)
		view.continues = heard && errors.Is(err, errMore)
		if view.continues || heard && errors.Is(err, io.EOF) && time.Since(began) >= c.config.HeartbeatTimeout {
			continue // there is more to be told of, or core wants to see the node's identity again
		}
		c.config.Observer.WatchInterrupted()
		if heard {
			length, level = shortestPause, slog.LevelWarn
		}
		useless.count(heard, errors.Is(err, errSilent), c.line.why() == nil)
		switch {
		case c.closed.Err() != nil:
			return c.asking(errClosed)
		case ctx.Err() != nil:
			return c.asking(context.Cause(ctx))
		case errors.Is(err, provider.ErrWatchUnsupported):
			return err
		case useless.enough():
			return fmt.Errorf("%w: %w", provider.ErrWatchUnsupported, err)
		}
		c.config.Logger.Log(ctx, level, "watch interrupted", slog.Any(logkey.Error, err))
		pause.Wait(ctx, pause.Jittered(length))
		length = min(2*length, c.config.WatchBackoff)
	}
}

// useless counts the streams in a row that led to nothing.
type useless struct{ silent, wordless int }

func (u *useless) count(heard, silent, connected bool) {
	if heard {
		*u = useless{}
	}
	switch {
	case silent:
		u.silent++
	case !heard && connected:
		u.wordless++
	}
}

func (u *useless) enough() bool { return u.silent >= mostSilent || u.wordless >= mostWordless }

// watchOnce follows one stream to its end, and reports whether it said anything. Its
// error is fit to be shown.
func (c *Client) watchOnce(ctx context.Context, view *view) (heard bool, err error) {
	token, err := c.nodeToken(ctx)
	if err != nil {
		return false, err
	}
	var owned sync.WaitGroup
	defer owned.Wait()
	streamContext, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if token.Len() > 0 {
		streamContext = withBearer(streamContext, token)
	}
	silence := time.AfterFunc(c.config.HeartbeatTimeout, func() { cancel(errSilent) })
	defer silence.Stop()

	told, added, lost := c.tickets.show()
	if lost {
		view.forget()
	}
	stands := time.Now()
	if len(told)+len(added) > 0 {
		stands = stands.Add(gathering)
	}
	stream, err := c.secrets.Watch(streamContext, &secretsv1.WatchRequest{Revision: view.revision, Scoped: true, Tickets: told, Added: added})
	for err == nil {
		var message *secretsv1.WatchResponse
		if message, err = stream.Recv(); err != nil {
			break
		}
		silence.Reset(c.config.HeartbeatTimeout)
		c.config.Observer.WatchHeard()
		gap, violation := view.take(message)
		switch {
		case violation != nil:
			return heard, c.asking(violation)
		case gap:
			c.tickets.drop(slices.Concat(told, added))
		case !heard:
			c.tickets.taken(added)
		}
		if !heard {
			owned.Go(func() { c.awaitTickets(streamContext, stands, cancel) })
			if !view.continues {
				c.config.Logger.Info("watching core", slog.String(logkey.Address, c.config.Address))
			}
		}
		heard = true
	}
	return heard, c.watchFault(streamContext, err, newScrubber(token))
}

// awaitTickets ends a stream once there are tickets that it does not show, but not before then.
func (c *Client) awaitTickets(ctx context.Context, then time.Time, end context.CancelCauseFunc) {
	select {
	case <-c.tickets.more:
		pause.Wait(ctx, time.Until(then))
		end(errMore)
	case <-ctx.Done():
	}
}

func (c *Client) watchFault(ctx context.Context, err error, scrub scrubber) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		// A server that is frozen or cut off still looks connected: only a new
		// connection can lead elsewhere.
		c.line.drop()
		return c.asking(fmt.Errorf("%w: %w for %s", provider.ErrUnavailable, errSilent, c.config.HeartbeatTimeout))
	}
	if errors.Is(context.Cause(ctx), errMore) {
		return errMore
	}
	if errors.Is(err, io.EOF) {
		return c.asking(fmt.Errorf("%w: core has ended the watch: %w", provider.ErrUnavailable, err))
	}
	switch statusOf(err).Code() {
	case codes.Unimplemented:
		return c.asking(provider.ErrWatchUnsupported)
	case codes.PermissionDenied, codes.Unauthenticated:
		c.forgetNodeToken()
		return fmt.Errorf("%w: %w", provider.ErrWatchUnsupported, c.fault(ctx, err, provider.Request{}, scrub))
	}
	return c.fault(ctx, err, provider.Request{}, scrub)
}
