package schedule

import (
	"time"

	"github.com/leoflow/secrets-csi/internal/outage"
)

const (
	// UrgentPause is how soon after a failed call a new pod may probe: about when kubelet
	// first tries again.
	UrgentPause = 500 * time.Millisecond
	// believedFor is how long an outage is believed in that no pod looks into any more. Live
	// volumes do once a minute, kubelet tries a new pod every two.
	believedFor = 3 * time.Minute
)

// of is whose an outage of a source is: its namespace's, or with no namespace everybody's.
func of(source, namespace string) outage.Scope { return outage.Scope{Place: source, Caller: namespace} }

// Admit lets a call to the source through, on behalf of pods of one namespace, or returns why it
// cannot be asked while another call finds out. A new pod is urgent. The call's end has to be told
// to Called.
func (s *Schedule) Admit(source, namespace string, urgent bool, now time.Time) (outage.Call, error) {
	return s.outages.Admit(of(source, namespace), urgent, now)
}

// UrgentWait tells how long until Admit lets a new pod's call through, if nothing ends sooner.
func (s *Schedule) UrgentWait(source, namespace string, now time.Time) time.Duration {
	return s.outages.UrgentWait(of(source, namespace), now)
}

// Called takes in how a call ended; err is why it was not answered. It reports whether that is
// news: the first of an outage, or the answer that ends one. What waited for the end of an outage
// is due over ResyncSpread, and what a watch told a change of, over newsSpread.
func (s *Schedule) Called(call outage.Call, verdict outage.Verdict, err error, now time.Time) (news bool) {
	began, over := s.outages.Called(call, verdict, err, now)
	for _, ended := range over {
		waited := func(v *volume) bool {
			concerned := v.Source == ended.Place && (ended.Caller == "" || ended.Caller == v.Namespace)
			return concerned && (v.failures > 0 || !now.Before(v.due))
		}
		s.makeDue(newsSpread, now, func(v *volume) bool { return waited(v) && v.isNotified() })
		s.makeDue(ResyncSpread, now, func(v *volume) bool { return waited(v) && !v.isNotified() })
	}
	if verdict == outage.Answered {
		s.answered[call.Place()] = now
		return len(over) > 0
	}
	return began
}

// Returned takes in that calls can be made again which nobody could make: what failed meanwhile, or is
// due, is so within newsSpread.
func (s *Schedule) Returned(now time.Time) {
	s.makeDue(newsSpread, now, func(v *volume) bool { return v.failures > 0 || !now.Before(v.due) })
}

// WhyAway is why pods of the namespace cannot ask the source at present, or nil.
func (s *Schedule) WhyAway(source, namespace string, now time.Time) error {
	return s.outages.Why(of(source, namespace), now)
}

// Away reports whether the source as a whole cannot be asked, as far as this node knows: nobody
// can, for the reason returned, or a namespace was not answered last, and no other has been since.
func (s *Schedule) Away(source string, now time.Time) (away bool, why error) {
	return s.outages.Away(source, s.answered[source], now)
}
