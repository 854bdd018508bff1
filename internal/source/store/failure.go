package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// isOfEntry tells what a store says of one secret, that it has none or gives none among it,
// from what it says of the pod or does not say at all.
func isOfEntry(err error) bool {
	var failure *secretmanager.Failure
	switch {
	case err == nil:
		return true
	case !errors.As(err, &failure), failure.Whole, failure.NoHost:
		return false
	}
	return failure.Kind == nil || errors.Is(err, provider.ErrMissing) || errors.Is(err, provider.ErrDenied)
}

// isTooLarge tells what did not fit, of one answer or of several.
func isTooLarge(err error) bool {
	var failure *secretmanager.Failure
	return errors.Is(err, provider.ErrTooLarge) || errors.As(err, &failure) && failure.TooLarge
}

// Explain has what a store says of one secret tell how to be given one that is denied, or what it
// means that one is missing. It leaves alone what says nothing of a single secret.
func Explain(err error, denied, missing string) error {
	var failure *secretmanager.Failure
	switch {
	case !errors.As(err, &failure) || failure.Whole || failure.NoHost:
	case errors.Is(err, provider.ErrDenied):
		failure.Text += "; " + denied
	case errors.Is(err, provider.ErrMissing):
		failure.Text += "; " + missing
	}
	return err
}

// Unlisted is why "*" cannot be asked of a store.
func Unlisted(reason string) error {
	return &secretmanager.Failure{Kind: provider.ErrDenied, Whole: true, Text: reason + "; name the entries"}
}

// ListFailed is why nothing can be listed, with what "*" takes where the pod is denied that. What is said of the pod
// already, as where it could not log in, stands.
func ListFailed(doing string, err error, takes string) error {
	var failure *secretmanager.Failure
	switch {
	case !errors.As(err, &failure) || failure.Whole || failure.NoHost:
	case errors.Is(err, provider.ErrDenied):
		failure.Text = doing + `; "*" takes ` + takes + ": grant it, or name the entries"
	case failure.Kind == nil, errors.Is(err, provider.ErrMissing):
		return unlistable{secretmanager.OfPod(err)}
	}
	return secretmanager.OfPod(err)
}

// unlistable is what keeps a store from listing, whoever asks: a mount of another version, or a project that is not there.
// Asking again does not mend it, but somebody may.
type unlistable struct{ error }

func (u unlistable) Unwrap() error { return u.error }

// refused is the entry whose secret a store does not give, of which isOfEntry is true.
func refused(name entry.Name, err error) entry.Entry {
	state := entry.Invalid
	switch {
	case errors.Is(err, provider.ErrMissing):
		state = entry.Missing
	case errors.Is(err, provider.ErrDenied):
		state = entry.Denied
	}
	var failure *secretmanager.Failure
	_ = errors.As(err, &failure)
	return entry.Refused(name, state, failure.Reason())
}

// whole is the error of a fetch, which has one of the sentinels. Where nobody is there it is
// everybody's to know, and names no namespace. A pod that has no identity at the store is not
// told that an entry is missing.
func (p *Provider) whole(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return provider.OfCall(fmt.Errorf("reading from %s: %w: %w", p.name, provider.ErrUnavailable, context.Cause(ctx)))
	}
	var failure *secretmanager.Failure
	if !errors.As(err, &failure) {
		return provider.OfCall(fmt.Errorf("reading from %s: %w: %w", p.name, provider.ErrUnavailable, err))
	}
	switch {
	case errors.As(err, &unlistable{}):
		return provider.OfCall(fmt.Errorf("reading from %s: %s: %w", p.name, failure.Text, provider.ErrUnavailable))
	case failure.NoHost:
		return fmt.Errorf("reading from %s: %s: %w", p.name, failure.Text, provider.ErrUnavailable)
	case failure.Kind == nil, errors.Is(err, provider.ErrMissing):
		return fmt.Errorf("reading from %s: %s: %w", p.name, failure.Text, provider.ErrUnauthenticated)
	case failure.Throttled:
		return provider.OfAccount(fmt.Errorf("reading from %s: %w", p.name, err))
	case errors.Is(err, provider.ErrUnavailable) && !failure.Unreached:
		return provider.OfCall(fmt.Errorf("reading from %s: %w", p.name, err))
	}
	return fmt.Errorf("reading from %s: %w", p.name, err)
}
