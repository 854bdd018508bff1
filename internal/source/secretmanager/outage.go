package secretmanager

import (
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// rest is the time from one attempt that found a spot away to the next.
	rest = 3 * time.Second
	// forgotten is when an outage that nobody looks into is no more known.
	forgotten = time.Minute
)

// spot is where a call goes, and as whom. Without an identity it is the place itself, for
// all identities.
type spot struct {
	identity cacheKey
	place    string
}

func (s spot) everybody() spot { return spot{place: s.place} }

// outages are the spots that cannot be asked. A place that cannot be reached is away for
// everybody; one that accepts a call and does not answer it is away for the call's identity
// alone. One call at a time finds out whether that is still so, and every other is told at
// once what the last was told: calls that wait in vain would hold up what needs no cloud.
type outages struct {
	mu    sync.Mutex
	known map[spot]*outage
}

type outage struct {
	why error
	// probing is set while a call finds out; next is when one may.
	probing bool
	next    time.Time
}

// probe is one attempt's part in the outages of its spot.
type probe struct {
	of *outages
	at spot
	// mine are the outages into which this attempt looks.
	mine []*outage
}

// admit returns why the spot cannot be asked, or a probe, which has to be ended.
func (o *outages) admit(at spot) (*probe, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	made := &probe{of: o, at: at}
	for _, known := range []*outage{o.known[at.everybody()], o.known[at]} {
		if known == nil {
			continue
		}
		if known.probing || time.Now().Before(known.next) {
			return nil, known.why
		}
		made.mine = append(made.mine, known)
	}
	for _, known := range made.mine {
		known.probing = true
	}
	return made, nil
}

// end notes what the attempt found.
func (p *probe) end(found outcome, why error) {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	switch found {
	case answered:
		delete(p.of.known, p.at)
		delete(p.of.known, p.at.everybody())
	case silent:
		p.note(p.at, why)
		delete(p.of.known, p.at.everybody())
	case unreached:
		p.note(p.at.everybody(), why)
	case unavailable:
		delete(p.of.known, p.at.everybody())
	}
	for _, known := range p.mine {
		known.probing = false
	}
}

// note is called with the lock held. After the first failure of a spot one more attempt
// may be made at once, since a lost packet is enough for it. A failure that began before
// the outage was known adds nothing.
func (p *probe) note(at spot, why error) {
	known := p.of.known[at]
	switch {
	case known == nil:
		p.of.add(at, &outage{why: why, next: time.Now()})
	case slices.Contains(p.mine, known):
		known.why, known.next = why, time.Now().Add(rest)
	}
}

// giveUp lets a spot rest that failed often enough.
func (o *outages) giveUp(at spot, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(at, &outage{why: why, next: time.Now().Add(rest)})
}

// add is called with the lock held.
func (o *outages) add(at spot, found *outage) {
	if o.known == nil {
		o.known = map[spot]*outage{}
	}
	longAgo := time.Now().Add(-forgotten)
	maps.DeleteFunc(o.known, func(_ spot, old *outage) bool { return !old.probing && old.next.Before(longAgo) })
	o.known[at] = found
}
