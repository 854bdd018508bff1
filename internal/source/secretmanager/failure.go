package secretmanager

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// Failure is why a cloud gave no secret. Its text is this project's own: what SDKs
// put into their errors, answers of servers among it, might hold a token.
type Failure struct {
	// Kind is one of provider's sentinels, or nil where the secret exists and cannot be
	// used.
	Kind error
	Text string
	// Throttled is set where the cloud asked for fewer calls; RetryAfter is when it
	// wants the next, if it said so.
	Throttled  bool
	RetryAfter time.Duration
	// Unreached is set where no connection could be made: that is so for every identity,
	// whereas what a call brought is its own identity's.
	Unreached bool
	// Whole is set where it says something of the pod, and nothing of a secret.
	Whole bool
	// NoHost is set where the DNS does not have the host.
	NoHost bool
	// TooLarge is set where the answer has more bytes than one may have.
	TooLarge bool
	// NoIdentity is set where the service account does not say who the pod is.
	NoIdentity bool
}

func (f *Failure) Error() string {
	if f.Kind == nil {
		return f.Text + f.remedy()
	}
	return f.Text + " (" + f.Kind.Error() + ")" + f.remedy()
}

// Reason is the error without its kind, for where that is told besides.
func (f *Failure) Reason() string { return f.Text + f.remedy() }

// remedy is what to do, where the text does not say so.
func (f *Failure) remedy() string {
	switch {
	case strings.Contains(f.Text, "; "):
		return ""
	case f.Kind == nil:
		return "; the cloud does not take it as it is: check the reference, and the secret itself"
	case errors.Is(f.Kind, provider.ErrDenied):
		return "; at the cloud, grant it to the identity of the pod's service account"
	case errors.Is(f.Kind, provider.ErrMissing):
		return "; create the secret, or correct the reference"
	case errors.Is(f.Kind, provider.ErrUnauthenticated):
		return "; check that the cloud trusts this cluster's tokens, for the pod's service account and this audience"
	default:
		return "; wait, it is tried again"
	}
}

func (f *Failure) Unwrap() error { return f.Kind }

// Is tells what no Kind does.
func (f *Failure) Is(target error) bool { return f.NoIdentity && target == provider.ErrNoIdentity }

// Unusable is the Failure of a secret, or of a reference, that no retry and no right
// will mend.
func Unusable(text string) error { return &Failure{Text: text} }

// Unnamed is the Failure of a pod whose service account does not say who the pod is.
func Unnamed(text string) error { return &Failure{Text: text, NoIdentity: true} }

// Unreachable is the Failure of a call that brought no answer.
func Unreachable(doing string) error {
	return &Failure{Kind: provider.ErrUnavailable, Text: doing + ": no answer, or not a whole one"}
}

// NoSuchHost is the Failure of a call to a host that the DNS does not have. The name of a vault
// or a region is part of its host's, so the reference names one that does not exist.
func NoSuchHost(host string) error {
	return &Failure{Kind: provider.ErrMissing, NoHost: true, Text: "reaching " + host + ": there is no such host; correct the vault or the region, or the cluster's DNS"}
}

// ExchangeFailed turns the HTTP status of a token exchange into a Failure. Whoever
// exchanges a token names no secret, so nothing is missing here.
func ExchangeFailed(doing string, status int, header http.Header) *Failure {
	failure := ofStatus(doing, status, header)
	failure.Whole = true
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		failure.Kind = provider.ErrUnauthenticated
	case http.StatusNotFound:
		failure.Kind = provider.ErrDenied
	}
	return failure
}

// AccessFailed turns the HTTP status of an attempt to read a secret into a Failure.
func AccessFailed(doing string, status int, header http.Header) *Failure {
	return ofStatus(doing, status, header)
}

// NotTheStores is AccessFailed of an answer without the marks that all of the store's have: of a proxy, a gateway or a mesh
// before it. What such a one denies or does not find says nothing of a secret.
func NotTheStores(doing string, status int, header http.Header) *Failure {
	failure := ofStatus(doing, status, header)
	if status >= 400 && (failure.Kind == nil || errors.Is(failure.Kind, provider.ErrDenied) || errors.Is(failure.Kind, provider.ErrMissing)) {
		failure.Kind = provider.ErrUnavailable
		failure.Text += ", and not from the store; see what answers in its place, such as a proxy, and have that let the driver through"
	}
	return failure
}

func ofStatus(doing string, status int, header http.Header) *Failure {
	failure := &Failure{Text: doing + ": HTTP " + strconv.Itoa(status)}
	switch {
	case status == http.StatusUnauthorized:
		failure.Kind = provider.ErrUnauthenticated
	case status == http.StatusForbidden:
		failure.Kind = provider.ErrDenied
	case status == http.StatusNotFound:
		failure.Kind = provider.ErrMissing
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
		failure.Kind, failure.Throttled = provider.ErrUnavailable, true
		failure.RetryAfter = retryAfter(header)
	case status == http.StatusRequestTimeout, status >= 500, status < 400:
		failure.Kind = provider.ErrUnavailable
	}
	return failure
}

// retryAfter reads the header in its form of seconds; the clouds use no other.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// codeOf is how gRPC would say what a call brought, for who counts calls.
func codeOf(err error) string {
	var failure *Failure
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &failure) && failure.Throttled:
		return "ResourceExhausted"
	case errors.Is(err, provider.ErrMissing):
		return "NotFound"
	case errors.Is(err, provider.ErrDenied):
		return "PermissionDenied"
	case errors.Is(err, provider.ErrUnauthenticated):
		return "Unauthenticated"
	case errors.Is(err, provider.ErrUnavailable):
		return "Unavailable"
	case errors.Is(err, provider.ErrTooLarge):
		return "OutOfRange"
	}
	return "FailedPrecondition"
}

// OfPod marks a failure as one that says nothing of a secret.
func OfPod(err error) error {
	var failure *Failure
	if !errors.As(err, &failure) {
		return err
	}
	marked := *failure
	marked.Whole = true
	return &marked
}

// NoAccount is the Failure of a pod whose service account does not exist, as where it was deleted
// while the pod runs.
func NoAccount(namespace, serviceAccount string) error {
	return &Failure{Kind: provider.ErrUnauthenticated, Whole: true,
		Text: "there is no service account " + namespace + "/" + serviceAccount + " any more; create it, and the pod anew"}
}

// givenUp is the Failure of a call that its caller did not wait for.
func givenUp(ctx context.Context) error {
	return &Failure{Kind: provider.ErrUnavailable, Text: "waiting for the secret manager: " + context.Cause(ctx).Error()}
}
