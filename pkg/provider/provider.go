// Package provider is the seam between delivery and the places that secrets come
// from. A provider turns "these names, for this pod" into entries; it neither renders nor
// writes anything.
//
// Every provider passes the one contract test in providertest.
package provider

import (
	"context"
	"time"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// Provider fetches what one pod asked for.
//
// Fetch returns an error only where it can say nothing about single entries, and the
// error then wraps one of the sentinels of package call. An entry that cannot be given is an entry
// whose state says so, never an error and never silently left out: each name of the request
// comes back exactly once, and with Selection.All whatever the pod may read comes back.
//
// The states are Delivered for what has a value, Missing for what the pod may read and does
// not exist, Denied for what it may not read, whether or not that exists, Invalid for what
// exists and cannot be served, and Unavailable for what the source does not tell this pod for now,
// though it tells others. The caller owns the entries.
//
// Fetch honours ctx, is safe for concurrent use, and never logs or returns a value
// or a token in an error.
type Provider interface {
	Fetch(ctx context.Context, pod Identity, request Request) ([]entry.Entry, error)
}

// GroupFetcher is implemented by providers that can serve several pods with one
// call. The outcomes are as many as the pods, in their order; each pod is decided on its own, and
// what one pod gets is never taken from another's answer. Unlike Fetch's, the entries are not the
// caller's: outcomes that are equal may share them, so that a value is in memory once. The caller
// changes neither an entry nor what one points at, and the source leaves them alone too.
type GroupFetcher interface {
	FetchGroup(ctx context.Context, pods []Identity, request Request) []Outcome
}

// Paced is implemented by providers that make a call for each entry, in turns with those of other
// pods, and give up by themselves on one that is not answered.
type Paced interface {
	// FetchFor is how long a fetch may take, which is for its many calls and for none.
	FetchFor() time.Duration
}

// Polled is implemented by providers that have to be asked for changes, and know how often.
type Polled interface {
	// PollEvery is how often a volume without a refresh of its own is fetched again, but for
	// a tenth of jitter.
	PollEvery() time.Duration
}

// Outcome is what Fetch would have returned for one pod of a group.
type Outcome struct {
	Entries []entry.Entry
	Err     error
}

// Watcher is implemented by providers that learn of changes without being asked.
//
// Watch calls notify with the names that changed, of what any pod may read that was fetched
// for at least, until ctx ends; it owns reconnecting and backing off. It returns ErrWatchUnsupported, at once, where the other side has
// no such thing and polling is needed: alone, for as long as this process lasts, and
// together with another sentinel, for now. notify must not block.
type Watcher interface {
	Watch(ctx context.Context, notify func(Change)) error
}

// Change names what may have changed. It carries no values.
type Change struct {
	// All is set when the watcher cannot tell what changed (after a gap): every
	// volume is to be looked at again.
	All     bool
	Entries []entry.Name
	// Namespace is that of the pods whom the entries concern; empty if they concern the
	// pods of any.
	Namespace string
}

// What a call is made of besides entries; package call tells of each.
type (
	// Identity is call's.
	Identity = call.Identity
	// Request is call's.
	Request = call.Request
	// Selection is call's.
	Selection = call.Selection
)

// Errors that Fetch wraps, one of them always, and ErrWatchUnsupported, which Watch alone returns.
var (
	ErrUnavailable      = call.ErrUnavailable
	ErrUnauthenticated  = call.ErrUnauthenticated
	ErrDenied           = call.ErrDenied
	ErrProtocol         = call.ErrProtocol
	ErrTooLarge         = call.ErrTooLarge
	ErrWatchUnsupported = call.ErrWatchUnsupported
)

// OfCall is call's.
func OfCall(err error) error { return call.OfCall(err) }

// IsOfCall is call's.
func IsOfCall(err error) bool { return call.IsOfCall(err) }

// OfAccount marks an ErrUnavailable that says nothing of other service accounts' calls; see call.OfAccount.
func OfAccount(err error) error { return call.OfAccount(err) }

// IsOfAccount reports whether err is marked by OfAccount.
func IsOfAccount(err error) bool { return call.IsOfAccount(err) }
