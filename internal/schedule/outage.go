package schedule

import "time"

const (
	// UrgentPause is how soon after a failed call a new pod may probe: about when kubelet
	// first tries again.
	UrgentPause = 500 * time.Millisecond
	// believedFor is how long an outage is believed in that no pod looks into any more. Live
	// volumes do once a minute, kubelet tries a new pod every two.
	believedFor = 3 * time.Minute
	// everybody is no namespace: an outage of a source's shared connection.
	everybody = ""
)

// scope is whose an outage is. What the shared connection says (refused, unreachable) is
// everybody's, and what a call says (slow, throttled) is its namespace's.
type scope struct{ source, namespace string }

// outages are known until a call is answered.
type outages struct {
	known map[scope]*outage
	// answered is when a call to the source last was.
	answered map[string]time.Time
}

// outage is a time in which a source cannot be asked.
type outage struct {
	// err is why, as the last call found out.
	err      error
	failures int
	// probing is set while a call finds out whether it is over.
	probing bool
	// lastProbe is when the last one ended, nextProbe when a refresh may be one again, and
	// lastAsked when the call began that found the outage last.
	lastProbe, nextProbe, lastAsked time.Time
}

func (o *outages) find(at scope, now time.Time) *outage {
	known := o.known[at]
	if known != nil && !known.probing && now.Sub(known.lastProbe) > believedFor {
		delete(o.known, at)
		return nil
	}
	return known
}

// probeNow lets the next probe of the source begin at once.
func (o *outages) probeNow(source string, now time.Time) {
	for at, known := range o.known {
		if at.source == source {
			known.nextProbe = now
		}
	}
}

func (o *outage) wait(urgent bool, now time.Time) time.Duration {
	switch {
	case o.probing:
		return maxIdle // its end wakes the caller
	case urgent:
		return o.lastProbe.Add(UrgentPause).Sub(now)
	default:
		return o.nextProbe.Sub(now)
	}
}

// Call is one call to a source, on behalf of pods of one namespace. Its end has to be told to
// Called.
type Call struct {
	source, namespace string
	began             time.Time
	// probes are the outages that it finds out about.
	probes map[scope]bool
}

// IsProbe reports whether the call finds out if an outage is over.
func (c Call) IsProbe() bool { return len(c.probes) > 0 }

// Admit lets a call through, or returns why the source cannot be asked while another call
// finds out. A new pod is urgent.
func (s *Schedule) Admit(source, namespace string, urgent bool, now time.Time) (Call, error) {
	made := Call{source: source, namespace: namespace, began: now, probes: map[scope]bool{}}
	for _, at := range []scope{{source, everybody}, {source, namespace}} {
		known := s.outages.find(at, now)
		switch {
		case known == nil:
		case known.wait(urgent, now) > 0:
			return Call{}, known.err
		default:
			made.probes[at] = true
		}
	}
	for at := range made.probes {
		s.outages.known[at].probing = true
	}
	return made, nil
}

// Verdict is what a call tells of its source.
type Verdict int

// The verdicts.
const (
	// Undecided: the caller gave it up.
	Undecided Verdict = iota
	// Answered, with whatever it says.
	Answered
	// Unreachable: nobody would have been answered.
	Unreachable
	// Unanswered: the source is there, and does not answer this call now.
	Unanswered
)

// Called takes in how a call ended; err is why it was not answered. It reports whether that
// is news: the first of an outage, or the answer that ends one. That an outage lasts only its
// probe can tell.
func (s *Schedule) Called(call Call, verdict Verdict, err error, now time.Time) (news bool) {
	for at := range call.probes {
		if known := s.outages.known[at]; known != nil {
			known.probing = false
		}
	}
	ours, all := scope{call.source, call.namespace}, scope{call.source, everybody}
	switch verdict {
	case Undecided:
		return false
	case Answered:
		s.outages.answered[call.source] = now
		over, oursOver := s.recovered(all, now), s.recovered(ours, now)
		return over || oursOver
	case Unreachable:
		return s.failed(all, call, err, now)
	case Unanswered:
		if call.probes[all] {
			s.recovered(all, now)
		}
	}
	return s.failed(ours, call, err, now)
}

func (s *Schedule) failed(at scope, call Call, err error, now time.Time) (news bool) {
	known := s.outages.find(at, now)
	switch {
	case known == nil:
		for other := range s.outages.known {
			s.outages.find(other, now) // which forgets those that nobody looks into
		}
		known, news = &outage{}, true
		s.outages.known[at] = known
	case !call.probes[at]: // it was under way when the outage began
		return false
	}
	known.err, known.lastAsked = err, call.began
	known.lastProbe, known.nextProbe = now, now.Add(s.halfJitter(backoff(known.failures)))
	known.failures++
	return news
}

// recovered ends an outage, if there is one, and makes due over ResyncSpread what waited for
// its end.
func (s *Schedule) recovered(at scope, now time.Time) bool {
	if s.outages.find(at, now) == nil {
		return false
	}
	delete(s.outages.known, at)
	s.makeDue(ResyncSpread, now, func(v *volume) bool {
		concerned := v.Source == at.source && (at.namespace == everybody || at.namespace == v.Namespace)
		return concerned && (v.failures > 0 || !now.Before(v.due))
	})
	return true
}

// WhyAway is why pods of the namespace cannot ask the source at present, or nil.
func (s *Schedule) WhyAway(source, namespace string, now time.Time) error {
	for _, at := range []scope{{source, everybody}, {source, namespace}} {
		if known := s.outages.find(at, now); known != nil {
			return known.err
		}
	}
	return nil
}

// Away is why the source as a whole cannot be asked, as far as this node knows: nobody can,
// or a namespace was not answered last, and no other has been since. Nil if it can.
func (s *Schedule) Away(source string, now time.Time) error {
	if err := s.WhyAway(source, everybody, now); err != nil {
		return err
	}
	for at := range s.outages.known {
		if known := s.outages.find(at, now); at.source == source && known != nil && !s.outages.answered[source].After(known.lastAsked) {
			return known.err
		}
	}
	return nil
}
