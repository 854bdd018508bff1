// Package provider is the seam between delivery and the places that secrets come
// from. A provider turns "these names, for this pod" into entries; it neither renders nor
// writes anything.
//
// Every provider passes the one contract test in providertest.
package provider

import (
	"context"
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Provider fetches what one pod asked for.
//
// Fetch returns an error only where it can say nothing about single entries, and the
// error then wraps one of the sentinels below. An entry that cannot be given is an entry
// whose state says so, never an error and never silently left out: each name of the request
// comes back exactly once, and with Selection.All whatever the pod may read comes back.
//
// The states are Delivered for what has a value, Missing for what the pod may read and does
// not exist, Denied for what it may not read, whether or not that exists, and Invalid for
// what exists and cannot be served. The caller owns the entries.
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

// Identity is the pod that a fetch is made for, and its own credentials. Values come
// from kubelet, never from the pod's author.
type Identity struct {
	Namespace      string
	ServiceAccount string
	PodName        string
	PodUID         string
	// Token is the bearer token for core.
	Token secret.Text
	// TaskToken says that Token was issued to this pod's task, and not to its service
	// account: what it brings is for no other pod.
	TaskToken bool
	// CloudTokens are the service-account tokens for other audiences, by audience.
	CloudTokens map[string]secret.Text
}

// Request names entries, each at most once.
type Request struct {
	Connections Selection
	Variables   Selection
	// MaxBytes is the most of an answer that there is memory for: no more of it may be read at
	// once. An answer that takes more is ErrTooLarge. 0 leaves it to the provider.
	MaxBytes int64
	// Partial has a provider that reads entry by entry give as many as MaxBytes holds, and refuse
	// the others as Invalid and TooLarge.
	Partial bool
}

// Selection names entries of one kind, or all of them that the pod may read.
type Selection struct {
	Names []string
	All   bool
}

// Errors that Fetch wraps, one of them always. They tell whose turn it is: the
// provider's operator, the pod's author or time.
var (
	// ErrUnavailable: the provider cannot be reached or cannot decide now. Worth
	// retrying; existing files stay. It is taken for everybody's, unless it is OfCall.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnauthenticated: the pod's token was refused, or there is none.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrDenied: the pod, as a whole, is refused.
	ErrDenied = errors.New("denied")
	// ErrProtocol: the provider answered what it must not, and asking again will
	// not help.
	ErrProtocol = errors.New("protocol violated")
	// ErrTooLarge: what was asked for, or the answer, is larger than a message may be. A
	// part of it may not be.
	ErrTooLarge = errors.New("larger than a message may be")

	// ErrWatchUnsupported is returned by Watch alone.
	ErrWatchUnsupported = errors.New("watch not supported")
)
