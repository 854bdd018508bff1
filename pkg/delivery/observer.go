package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Observer is told what happens, for whoever counts it. Its methods return at once and
// are safe for concurrent use. They hear of no pod and no entry, so that what is counted
// stays as few series as there are providers and outcomes.
type Observer interface {
	// Fetched tells of one fetch, for however many volumes it was.
	Fetched(Fetch)
	// Resolved tells how asking a cloud for what a reference points at ended.
	Resolved(cloud, outcome string, took time.Duration)
	// Delivered tells of one volume's delivery.
	Delivered(Delivery)
	// Panicked tells of a fault of this program, which ended what it was doing for one
	// volume or one watch.
	Panicked()
}

// Fetch is how one fetch ended.
type Fetch struct {
	Provider string
	// Outcome is "ok", or whose turn it is: "unavailable", "unauthenticated", "denied",
	// "missing", "protocol" or "error". That of several pods is the first that is not ok.
	Outcome string
	Took    time.Duration
	// Refusals counts the entries that were refused, by reason.
	Refusals map[provider.Reason]int
}

// Delivery is how one volume's delivery ended.
type Delivery struct {
	Provider string
	// Cause is why it began: "publish" for a pod that waits for it, and for a live volume
	// "republish", "watch", "retry" or "poll".
	Cause string
	// Outcome is "delivered", "unchanged", "held" if an entry of it is, or "offline"; or the
	// Reason it failed for.
	Outcome string
	Took    time.Duration
	// Rotated is set where the files of a live volume were replaced.
	Rotated bool
	// Lag is from the notice of a change to the swap that shows it; 0 without a notice.
	Lag time.Duration
}

// State is how one live volume is, for whoever counts them.
type State struct {
	Provider   string
	TargetPath string
	// Confirmed is when the provider last said that the files are right.
	Confirmed time.Time
	Stale     bool
	Offline   bool
	// Held is set if the volume holds an entry that cannot be had now.
	Held bool
}

// Census is the state of every volume that shows files.
func (d *Deliverer) Census() []State {
	d.set.mu.Lock()
	defer d.set.mu.Unlock()
	states := make([]State, 0, len(d.set.live))
	for _, v := range d.set.live {
		if v.health.Generation == 0 {
			continue
		}
		states = append(states, State{
			Provider: v.spec.Provider, TargetPath: v.spec.TargetPath, Confirmed: v.health.Confirmed,
			Stale: time.Since(v.health.Confirmed) > d.set.schedule.StaleAfter(v.spec.Refresh), Offline: v.health.Offline, Held: v.health.Held > 0,
		})
	}
	return states
}

// Unclaimed counts the volumes on this node that kubelet has not published since this
// process began. They were there before it, and it has no token to keep them fresh.
func (d *Deliverer) Unclaimed() (count int, err error) {
	mounted, err := mount.List()
	d.set.mu.Lock()
	defer d.set.mu.Unlock()
	for _, info := range mounted {
		if d.set.at[info.Target] == nil {
			count++
		}
	}
	return count, err
}

// silent is the Observer of those who count nothing.
type silent struct{}

func (silent) Fetched(Fetch)                          {}
func (silent) Resolved(string, string, time.Duration) {}
func (silent) Delivered(Delivery)                     {}
func (silent) Panicked()                              {}

// observeFetch tells of a fetch that took from started until now.
func (d *Deliverer) observeFetch(name string, outcomes []provider.Outcome, started time.Time) {
	fetch := Fetch{Provider: name, Outcome: "ok", Took: time.Since(started), Refusals: map[provider.Reason]int{}}
	for _, o := range outcomes {
		if fetch.Outcome == "ok" {
			fetch.Outcome = errorWord(o.Err)
		}
		for _, refusal := range o.Result.Refusals {
			fetch.Refusals[refusal.Reason]++
		}
	}
	d.Observer.Fetched(fetch)
}

// errorWord names what a provider's or a resolver's error wraps.
func errorWord(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, provider.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "unavailable"
	case errors.Is(err, provider.ErrUnauthenticated):
		return "unauthenticated"
	case errors.Is(err, provider.ErrDenied):
		return "denied"
	case errors.Is(err, provider.ErrMissing):
		return "missing"
	case errors.Is(err, provider.ErrProtocol):
		return "protocol"
	default:
		return "error"
	}
}

// observeDelivery tells of a delivery that ends now.
func (d *Deliverer) observeDelivery(t task, cause string, placed placement, err error) {
	delivery := Delivery{
		Provider: t.spec.Provider, Cause: t.whyNow(cause), Outcome: placed.outcome(err), Took: time.Since(t.begun.Began),
		Rotated: placed.changed && t.live,
	}
	if delivery.Rotated && !t.begun.NotifiedAt.IsZero() {
		delivery.Lag = time.Since(t.begun.NotifiedAt)
	}
	d.Observer.Delivered(delivery)
}

// whyNow is why the delivery began.
func (t task) whyNow(cause string) string {
	switch {
	case cause == publishing && t.live:
		return "republish"
	case cause == publishing:
		return publishing
	case !t.begun.NotifiedAt.IsZero():
		return "watch"
	case t.failures > 0:
		return "retry"
	default:
		return "poll"
	}
}

// outcome is one word for how a delivery ended.
func (p placement) outcome(err error) string {
	var failure *Error
	switch {
	case errors.As(err, &failure):
		return failure.Reason.String()
	case err != nil:
		return Internal.String()
	case p.offline:
		return "offline"
	case len(p.held()) > 0:
		return "held"
	case p.changed:
		return "delivered"
	default:
		return "unchanged"
	}
}
