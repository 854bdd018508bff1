package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// admit lets the group be asked for, unless the provider cannot be asked and it is not its
// turn to find out whether that is still so.
func (f *fetcher) admit(group []task) (call outage.Call, err error) {
	if admitted := group[0].admitted; admitted != nil {
		group[0].admitted = nil
		return *admitted, nil
	}
	spec := group[0].spec
	f.set.plan(func(plan *schedule.Schedule) {
		call, err = plan.Admit(spec.Provider, spec.Pod.Namespace, group[0].podWaits, time.Now())
	})
	return call, err
}

// called takes in what the group was told, and logs where an outage begins or ends.
func (f *fetcher) called(ctx context.Context, group []task, call outage.Call, outcomes []provider.Outcome) {
	verdict, why := outage.Undecided, error(nil)
	_ = f.guard.run(group[0].spec, func() error { // it is logged
		outcomes = selected(outcomes, func(o provider.Outcome) bool { return !isUnasked(o.Err) })
		verdict, why = verdictOf(ctx, outcomes)
		if len(outcomes) > 0 {
			f.remember(group, outcomes)
		}
		return nil
	})
	news := f.set.called(call, verdict, why)
	spec := group[0].spec
	log := f.Log.With(logkey.Source, spec.Provider)
	switch {
	case !news:
	case verdict == outage.Answered:
		log.Info("source can be asked again")
	case verdict == outage.Unanswered:
		log.Warn("source does not answer a namespace; keeping its files", logkey.Namespace, spec.Pod.Namespace, logkey.Error, why)
	default:
		log.Warn("source cannot be asked; keeping all files", logkey.Error, why)
	}
}

// verdictOf is what a call says of its provider, and why it was not answered. What was given
// up here, and what panicked, says nothing.
func verdictOf(ctx context.Context, outcomes []provider.Outcome) (verdict outage.Verdict, why error) {
	if len(outcomes) == 0 { // nobody was asked
		return outage.Undecided, nil
	}
	why = unanswered(outcomes)
	switch {
	case ctx.Err() != nil, errors.Is(outcomes[0].Err, errPanic):
		verdict = outage.Undecided
	case why == nil:
		verdict = outage.Answered
	case provider.IsOfCall(why):
		verdict = outage.Unanswered
	default:
		verdict = outage.Unreachable
	}
	return verdict, why
}

// unanswered is why the provider could not be asked, or nil if any pod has an answer. That
// nobody can is said before that one cannot.
func unanswered(outcomes []provider.Outcome) error {
	why := outcomes[0].Err
	for _, o := range outcomes {
		if !errors.Is(o.Err, provider.ErrUnavailable) {
			return nil
		}
		if !provider.IsOfCall(o.Err) {
			why = o.Err
		}
	}
	return why
}

// whyAway is why the volume's provider cannot be asked for it at present, or nil.
func (f *fetcher) whyAway(spec Volume) (err error) {
	f.set.plan(func(plan *schedule.Schedule) {
		err = plan.WhyAway(spec.Provider, spec.Pod.Namespace, time.Now())
	})
	return err
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
	case errors.Is(err, provider.ErrTooLarge):
		return "too_large"
	default:
		return "error"
	}
}
