package deliver

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/mount/layout"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// failureOf is what keeps a volume from being made: the lines of all the entries that do, in
// one message. While one cannot be asked for, nothing is known of the volume.
func failureOf(spec Volume, failed []layout.Entry) *report.Error {
	away := selected(failed, func(line layout.Entry) bool { return line.State == layout.Unavailable })
	if len(away) > 0 {
		first := max(0, slices.IndexFunc(away, func(line layout.Entry) bool { return line.Reason() != "" }))
		message, _ := report.Describe(subject(spec), away[first:first+1])
		failure := report.Failf(report.Unavailable, call.ErrUnavailable, "%s", message)
		failure.Entries = away
		return failure
	}
	has := func(state layout.State) bool {
		return slices.ContainsFunc(failed, func(line layout.Entry) bool { return line.State == state })
	}
	reason := report.Invalid
	switch {
	case has(layout.Denied):
		reason = report.Denied
	case has(layout.Missing):
		reason = report.Missing
	}
	remedy := remedyFor(has(layout.Denied), has(layout.Missing))
	if has(layout.Invalid) { // which says itself what to do
		remedy = ""
	}
	short, full := report.Describe(subject(spec), failed)
	failure := report.Failf(reason, nil, "%s%s", short, remedy)
	failure.Entries = failed
	if short != full {
		failure.Full = full + remedy
	}
	return failure
}

// remedyFor says what to do about entries that are denied or missing.
func remedyFor(denied, missing bool) string {
	const withoutIt = `; with "?" after its id the pod starts without it)`
	switch {
	case denied && missing:
		return " (have it allowed, create it or correct its id" + withoutIt
	case denied:
		return " (have it allowed" + withoutIt
	case missing:
		return " (create it, or correct its id" + withoutIt
	}
	return ""
}

// providerError says of a whole failed fetch whose turn it is.
func providerError(spec Volume, err error) error {
	switch {
	case errors.Is(err, report.ErrPanic), errors.Is(err, seam.ErrOutgrown): // which is said already
		return err
	case isExhausted(err):
		return report.Failf(report.NoMemory, err, "%v", err)
	case errors.Is(err, seam.ErrAway): // no source is to blame
		return report.Failf(report.Unavailable, err, "%v", err)
	case errors.Is(err, call.ErrUnauthenticated):
		return report.Failf(report.Unauthenticated, err, "%s refused the token of service account %s/%s: %v",
			spec.Provider, spec.Pod.Namespace, spec.Pod.ServiceAccount, err)
	case errors.Is(err, call.ErrDenied):
		return report.Failf(report.Denied, err, "%s refused service account %s/%s: %v",
			spec.Provider, spec.Pod.Namespace, spec.Pod.ServiceAccount, err)
	case errors.Is(err, call.ErrUnavailable):
		return report.Failf(report.Unavailable, err, "%s cannot be asked now: %v", spec.Provider, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // nobody was asked
		return report.Failf(report.Unavailable, err, "%v", err)
	case errors.Is(err, call.ErrTooLarge):
		return report.Failf(report.NoSpace, err, "fetching from %s: %v", spec.Provider, err)
	default:
		return report.Failf(report.Internal, err, "fetching from %s: %v", spec.Provider, err)
	}
}

// orGivenUp is err, or that the caller did not wait: then what could not be had says nothing of who
// was to give it.
func orGivenUp(ctx context.Context, err error) error {
	failure := (*report.Error)(nil)
	if ctx.Err() == nil || !errors.As(err, &failure) || failure.Reason != report.Unavailable {
		return err
	}
	given := *failure
	given.Reason = report.GivenUpFor(ctx)
	given.Message, given.Full = "given up ("+given.Reason.String()+"): "+failure.Message, ""
	return &given
}

// failureOfShares is that of a share which cannot be had now, or else what all shares say that
// failed; nil if none did.
func failureOfShares(ends []ending) error {
	var all *report.Error
	for _, one := range ends {
		if one.err == nil {
			continue
		}
		failure := report.Failf(report.Internal, one.err, "%v", one.err)
		_ = errors.As(one.err, &failure)
		switch {
		case failure.Reason == report.Unavailable, failure.Reason == report.Cancelled, failure.Reason == report.Deadline:
			return failure
		case all == nil:
			all = failure
		default:
			joined := report.Failf(all.Reason, errors.Join(all, failure), "%s; %s", all.Message, failure.Message)
			if all.Full != "" || failure.Full != "" {
				joined.Full = cmp.Or(all.Full, all.Message) + "; " + cmp.Or(failure.Full, failure.Message)
			}
			joined.Entries = slices.Concat(all.Entries, failure.Entries)
			all = joined
		}
	}
	if all == nil {
		return nil
	}
	return all
}
