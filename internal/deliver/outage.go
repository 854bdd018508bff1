package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/internal/logkey"
	"github.com/leoflow/secrets-csi/internal/outage"
	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/internal/schedule"
	"github.com/leoflow/secrets-csi/pkg/provider/call"
)

// admit lets the group be asked for, unless the provider cannot be asked and it is not its
// turn to find out whether that is still so.
func (c *caller) admit(group []task) (admitted outage.Call, err error) {
	if admitted := group[0].admitted; admitted != nil {
		group[0].admitted = nil
		return *admitted, nil
	}
	spec := group[0].spec
	c.set.plan(func(plan *schedule.Schedule) {
		admitted, err = plan.Admit(spec.Provider, spec.Pod.Namespace, group[0].podWaits, time.Now())
	})
	return admitted, err
}

// called takes in what the group was told, and logs where an outage begins or ends.
func (c *caller) called(ctx context.Context, group []task, admitted outage.Call, errs []error) {
	verdict, why := outage.Undecided, error(nil)
	_ = c.guard.Run(subject(group[0].spec), func() error { // it is logged
		verdict, why = verdictOf(ctx, selected(errs, func(err error) bool { return !isUnasked(err) }))
		return nil
	})
	news := c.set.called(admitted, verdict, why)
	spec := group[0].spec
	log := c.Log.With(logkey.Source, spec.Provider)
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

// verdictOf is what a call says of its source, and why it was not answered. What was given
// up here, and what panicked, says nothing.
func verdictOf(ctx context.Context, errs []error) (verdict outage.Verdict, why error) {
	if len(errs) == 0 { // nobody was asked
		return outage.Undecided, nil
	}
	why = unanswered(errs)
	switch {
	case ctx.Err() != nil, errors.Is(errs[0], report.ErrPanic):
		verdict = outage.Undecided
	case why == nil, call.IsOfAccount(why): // which is there, for everybody else
		verdict = outage.Answered
	case call.IsOfCall(why):
		verdict = outage.Unanswered
	default:
		verdict = outage.Unreachable
	}
	return verdict, why
}

// unanswered is why the source could not be asked, or nil if any pod has an answer. That
// nobody can is said before that one cannot.
func unanswered(errs []error) error {
	why := errs[0]
	for _, err := range errs {
		if !errors.Is(err, call.ErrUnavailable) {
			return nil
		}
		if !call.IsOfCall(err) {
			why = err
		}
	}
	return why
}

// whyAway is why the volume's provider cannot be asked for it at present, or nil.
func (c *caller) whyAway(spec Volume) (err error) {
	c.set.plan(func(plan *schedule.Schedule) {
		err = plan.WhyAway(spec.Provider, spec.Pod.Namespace, time.Now())
	})
	return err
}
