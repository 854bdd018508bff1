// Package outage is the one breaker. It knows which places cannot be asked at present, and lets
// one call at a time find out whether that is still so. Every other call is refused at once, with
// what the last was told: calls that wait in vain hold up what needs no such place. A call that
// finds out is its caller's: while it goes on, others wait no longer for theirs than after one
// that failed.
//
// Outages is a value: it has no lock and no clock. The caller passes the time to every call, and
// keeps calls apart.
package outage

import (
	"slices"
	"time"
)

// Scope is whose an outage is: a place that calls go to, and on whose behalf. What the connection
// says (refused, unreachable) is everybody's, and what a call says (slow, throttled) is its
// caller's. An empty Caller is everybody.
type Scope struct{ Place, Caller string }

func (s Scope) everybody() Scope { return Scope{Place: s.Place} }

// Outages are known until a call is answered.
type Outages struct {
	// Pause is how long after a failed call the next one may find out whether the outage is
	// over; failures counts the failed calls before it.
	Pause func(failures int) time.Duration
	// UrgentPause is what an urgent call waits instead.
	UrgentPause time.Duration
	// ForgetAfter is how long an outage is believed in that no call looks into.
	ForgetAfter time.Duration

	known map[Scope]*outage
}

// outage is a time in which a place cannot be asked.
type outage struct {
	// why is what the last call was told.
	why      error
	failures int
	// probing are the callers whose calls find out whether it is over.
	probing []string
	// lastProbe is when the last one ended, nextProbe and nextUrgent when one may begin, and
	// lastAsked when the call began that found the outage last.
	lastProbe, nextProbe, nextUrgent, lastAsked time.Time
}

// find forgets an outage that no call looks into any more.
func (o *Outages) find(at Scope, now time.Time) *outage {
	known := o.known[at]
	if known != nil && len(known.probing) == 0 && now.Sub(known.lastProbe) > o.ForgetAfter {
		delete(o.known, at)
		return nil
	}
	return known
}

// met are the outages that a call meets: everybody's, and its caller's.
func (o *Outages) met(at Scope, now time.Time) (known []*outage) {
	for _, scope := range []Scope{at.everybody(), at} {
		if one := o.find(scope, now); one != nil {
			known = append(known, one)
		}
	}
	return known
}

// Call is one call to a place. Its end has to be told to Called.
type Call struct {
	at    Scope
	began time.Time
	// probes are the outages that it finds out about.
	probes []*outage
}

// Place is where it goes.
func (c Call) Place() string { return c.at.Place }

// IsProbe reports whether the call finds out if an outage is over.
func (c Call) IsProbe() bool { return len(c.probes) > 0 }

// Admit lets a call through, or returns why the place cannot be asked while it is another call's
// turn to find out.
func (o *Outages) Admit(at Scope, urgent bool, now time.Time) (Call, error) {
	made := Call{at: at, began: now, probes: o.met(at, now)}
	for _, known := range made.probes {
		if known.wait(at.Caller, urgent, now) > 0 {
			return Call{}, known.why
		}
	}
	for _, known := range made.probes {
		known.probing = append(known.probing, at.Caller)
		o.pause(known, now)
	}
	return made, nil
}

// forever is the wait for the end of a probe of one's own that is under way.
const forever time.Duration = 1<<63 - 1

func (known *outage) wait(caller string, urgent bool, now time.Time) time.Duration {
	switch {
	case slices.Contains(known.probing, caller):
		return forever
	case urgent:
		return known.nextUrgent.Sub(now)
	default:
		return known.nextProbe.Sub(now)
	}
}

// UrgentWait tells how long until an urgent call may go to the place, to find out about an outage or
// since there is none. While one of the caller's finds out, the wait has no end.
func (o *Outages) UrgentWait(at Scope, now time.Time) (wait time.Duration) {
	for _, known := range o.met(at, now) {
		wait = max(wait, known.wait(at.Caller, true, now))
	}
	return wait
}

// pause puts off the next probe.
func (o *Outages) pause(known *outage, now time.Time) {
	known.nextProbe, known.nextUrgent = now.Add(o.Pause(known.failures)), now.Add(o.UrgentPause)
}

// Wait tells how long until a call of the caller's may find out whether the outage of just this
// scope is over; away is false if there is none. While one of the caller's finds out, the wait has
// no end.
func (o *Outages) Wait(at Scope, caller string, now time.Time) (wait time.Duration, away bool) {
	known := o.find(at, now)
	if known == nil {
		return 0, false
	}
	return known.wait(caller, false, now), true
}

// ProbeNow lets the next probe of the place begin at once.
func (o *Outages) ProbeNow(place string, now time.Time) {
	for at, known := range o.known {
		if at.Place == place {
			known.nextProbe = now
		}
	}
}

// Why is why the place cannot be asked for the caller at present; nil if it can.
func (o *Outages) Why(at Scope, now time.Time) error {
	for _, known := range o.met(at, now) {
		return known.why
	}
	return nil
}

// Away reports whether the place as a whole cannot be asked, as far as is known: nobody can ask it,
// for the reason returned, or a call went unanswered and none was answered since it began, for a
// reason that only its caller may hear. answered is when a call last was.
func (o *Outages) Away(place string, answered, now time.Time) (away bool, why error) {
	if why := o.Why(Scope{Place: place}, now); why != nil {
		return true, why
	}
	for at := range o.known {
		if known := o.find(at, now); at.Place == place && known != nil && !answered.After(known.lastAsked) {
			return true, nil
		}
	}
	return false, nil
}

// Verdict is what a call tells of its place.
type Verdict int

// The verdicts.
const (
	// Undecided: the caller gave it up.
	Undecided Verdict = iota
	// Answered, with whatever it says.
	Answered
	// Reached: the place is there, and whether it answers this caller is not known yet.
	Reached
	// Unanswered: the place is there, and does not answer this caller now.
	Unanswered
	// Unreachable: nobody would have been answered.
	Unreachable
)

// Called takes in how a call ended; why is why it was not answered. It reports whether that began
// an outage, and which outages it ended. That an outage lasts only its probe can tell.
func (o *Outages) Called(call Call, verdict Verdict, why error, now time.Time) (began bool, over []Scope) {
	for _, known := range call.probes {
		known.probing = slices.DeleteFunc(known.probing, func(caller string) bool { return caller == call.at.Caller })
		if verdict == Undecided || verdict == Reached { // the next may find out at once
			known.lastProbe, known.nextProbe, known.nextUrgent = now, now, now
		}
	}
	all := call.at.everybody()
	switch verdict {
	case Undecided:
	case Answered:
		over = o.end(now, all, call.at)
	case Reached:
		over = o.end(now, all)
	case Unanswered:
		if slices.Contains(call.probes, o.known[all]) {
			over = o.end(now, all)
		}
		began = o.fail(call.at, call, why, now)
	case Unreachable:
		began = o.fail(all, call, why, now)
	}
	return began, over
}

func (o *Outages) fail(at Scope, call Call, why error, now time.Time) (began bool) {
	known := o.find(at, now)
	switch {
	case known == nil:
		known, began = o.add(at, now), true
	case !slices.Contains(call.probes, known): // it was under way when the outage began
		return false
	}
	known.why, known.lastAsked = why, call.began
	known.lastProbe = now
	o.pause(known, now)
	known.failures++
	return began
}

func (o *Outages) add(at Scope, now time.Time) *outage {
	for other := range o.known {
		o.find(other, now) // which forgets those that no call looks into
	}
	if o.known == nil {
		o.known = map[Scope]*outage{}
	}
	added := &outage{}
	o.known[at] = added
	return added
}

func (o *Outages) end(now time.Time, scopes ...Scope) (over []Scope) {
	for _, at := range scopes {
		if o.find(at, now) != nil {
			delete(o.known, at)
			over = append(over, at)
		}
	}
	return over
}
