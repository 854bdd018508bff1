// Package call is what a call to a provider is made of besides entries: for whom it is, what it asks
// for, and why it was not answered. Who carries answers about without a look inside needs no more of
// the provider's side than this.
package call

import (
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

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
	// Direct says that no kubelet was asked for the tokens: they are from files of the pod's own.
	Direct bool
}

// Lacks says that there is no token with that audience, and what the pod's author does about it.
func (i Identity) Lacks(audience string) string {
	switch {
	case i.Direct && audience == "":
		return "no file of --token-file has a token for the API server: list /var/run/secrets/kubernetes.io/serviceaccount/token, which Kubernetes mounts"
	case i.Direct:
		return fmt.Sprintf("no file of --token-file has a token with audience %q: project a serviceAccountToken with that audience into the pod, and list its file", audience)
	}
	return fmt.Sprintf("kubelet sent no token with audience %q: list it under tokenRequests of the CSIDriver", audience)
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

// Errors that a provider's Fetch wraps, one of them always. They tell whose turn it is: the
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

	// ErrMissing is returned by a Resolver alone: the secret, or that version of it, does not
	// exist. Fetch says the same by an entry's state.
	ErrMissing = errors.New("missing")
	// ErrWatchUnsupported is returned by Watch alone.
	ErrWatchUnsupported = errors.New("watch not supported")
)
