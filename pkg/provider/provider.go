// Package provider is the seam between delivery and the places that secrets come
// from. A provider turns "these entries, for this pod" into entries and refusals;
// it neither renders nor writes anything.
//
// Every provider passes the one contract test in providertest.
package provider

import (
	"context"
	"errors"

	"github.com/leoflow/secrets-csi/pkg/airflow"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Provider fetches what one pod asked for.
//
// Fetch returns an error only where it can say nothing about single entries, and the
// error then wraps one of the sentinels below. An entry that cannot be given is a
// Refusal, never an error and never silently left out: each name of the request
// comes back exactly once, as an entry or as a refusal. With Selection.All whatever
// the pod may read comes back.
//
// Fetch honours ctx, is safe for concurrent use, and never logs or returns a value
// or a token in an error.
type Provider interface {
	Fetch(ctx context.Context, pod Identity, request Request) (Result, error)
}

// GroupFetcher is implemented by providers that can serve several pods with one
// call. The outcomes stand in the order of pods; each pod is decided on its own, and
// what one pod gets is never taken from another's answer.
type GroupFetcher interface {
	FetchGroup(ctx context.Context, pods []Identity, request Request) []Outcome
}

// Outcome is what Fetch would have returned for one pod of a group.
type Outcome struct {
	Result Result
	Err    error
}

// Watcher is implemented by providers that learn of changes without being asked.
//
// Watch calls notify with the names that changed until ctx ends; it owns reconnecting
// and backing off. It returns ErrWatchUnsupported, at once, where the other side has
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
	Entries []Name
	// Namespace is that of the pods whom the entries concern; empty if they concern the
	// pods of any.
	Namespace string
}

// Kind tells connections from variables.
type Kind string

// The two kinds of entry, spelled as in the manifest.
const (
	Connection Kind = "connection"
	Variable   Kind = "variable"
)

// Name names one entry.
type Name struct {
	Kind Kind
	ID   string
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
}

// Selection names entries of one kind, or all of them that the pod may read.
type Selection struct {
	Names []string
	All   bool
}

// Result is what a provider has for one pod. The pod's volume owns it; nothing in it
// is shared with another Result.
type Result struct {
	Connections []ConnectionEntry
	Variables   []VariableEntry
	Refusals    []Refusal
}

// ConnectionEntry is a connection at one version.
type ConnectionEntry struct {
	Connection airflow.Connection
	// Version is opaque and differs whenever the connection does.
	Version string
}

// VariableEntry is a variable at one version.
type VariableEntry struct {
	Key     string
	Value   secret.Text
	Version string
}

// Refusal says why a name of the request was not given.
type Refusal struct {
	Name   Name
	Reason Reason
	// Detail is for a person; it holds no value. It may be empty.
	Detail string
}

// Reason is why an entry was refused. Unavailable is not among them: a provider that
// cannot be asked says nothing about an entry.
type Reason string

// The reasons, spelled as in the manifest.
const (
	Missing Reason = "missing" // the pod may read it and it does not exist
	Denied  Reason = "denied"  // the pod may not read it, whether or not it exists
	Invalid Reason = "invalid" // it exists and cannot be served; Detail says why
)

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

	// ErrWatchUnsupported is returned by Watch alone.
	ErrWatchUnsupported = errors.New("watch not supported")
)
