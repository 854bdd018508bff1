package secretmanager

import (
	"errors"
	"maps"
	"sync"
	"time"
)

const (
	// rest is how long after the last call that a place did not answer nobody asks there.
	rest = 5 * time.Second
	// forgotten is when an outage that nobody looks into is no more known.
	forgotten = time.Minute
)

// outages are the places that cannot be asked. One call at a time finds out whether that
// is still so, and every other is told at once what the last was told: calls that wait in
// vain would hold up what needs no cloud at all.
type outages struct {
	mu    sync.Mutex
	known map[string]*outage // by place
}

type outage struct {
	why error
	// probing is set while a call finds out; next is when one may.
	probing bool
	next    time.Time
}

// probe is a call's part in an outage.
type probe struct {
	of    *outages
	place string
	// mine is set if it is this call that finds out.
	mine bool
}

// admit returns why the place cannot be asked, or a probe, which has to be ended.
func (o *outages) admit(place string) (*probe, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	made := &probe{of: o, place: place}
	if known := o.known[place]; known != nil {
		if known.probing || time.Now().Before(known.next) {
			return nil, known.why
		}
		known.probing, made.mine = true, true
	}
	return made, nil
}

// silent says that the place did not answer so far. It is false if another call finds
// out already, and this one should leave it at that.
func (p *probe) silent(why error) bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if !p.mine && p.of.known[p.place] != nil {
		return false
	}
	p.mine = true
	p.of.note(p.place, &outage{why: why, probing: true})
	return true
}

// end ends a probe that found nobody. A place that wants fewer calls is no outage.
func (p *probe) end(why error) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	var failure *Failure
	if errors.As(why, &failure) && failure.Throttled {
		p.release(true)
		return
	}
	if p.mine || p.of.known[p.place] == nil {
		p.of.note(p.place, &outage{why: why, next: time.Now().Add(rest)})
	}
}

// over ends a probe that was answered, or that found out nothing.
func (p *probe) over(answered bool) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.release(answered)
}

// release is called with the lock held.
func (p *probe) release(answered bool) {
	switch known := p.of.known[p.place]; {
	case answered:
		delete(p.of.known, p.place)
	case p.mine && known != nil:
		known.probing = false
	}
}

// note is called with the lock held.
func (o *outages) note(place string, found *outage) {
	if o.known == nil {
		o.known = map[string]*outage{}
	}
	longAgo := time.Now().Add(-forgotten)
	maps.DeleteFunc(o.known, func(_ string, old *outage) bool { return !old.probing && old.next.Before(longAgo) })
	o.known[place] = found
}
