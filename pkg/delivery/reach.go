package delivery

import (
	"errors"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
)

// urgentPause is how soon after a failed call a new pod may probe: about when kubelet
// first tries again.
const urgentPause = 500 * time.Millisecond

// believedFor is how long a node believes in an outage that none of its pods looks into
// any more. Live volumes do once a minute, kubelet tries a new pod every two.
const believedFor = 3 * time.Minute

// reach knows which providers cannot be asked at present. While one cannot, the node as
// a whole asks it by one call at a time, after ever longer pauses, however many volumes
// wait.
type reach struct {
	mu      sync.Mutex
	outages map[string]*outage
}

// outage is a time in which a provider cannot be asked.
type outage struct {
	// err is why, as the last call found out.
	err      error
	failures int
	probing  bool
	// ended is when the last probe did, next when a refresh may be one again.
	ended, next time.Time
}

// admit lets a call through, or returns why the provider cannot be asked while it is
// nobody's turn to probe. probe says whether it is this call that finds out; it is to be
// settled, or released. A new pod is urgent.
func (r *reach) admit(name string, urgent bool) (probe bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.find(name)
	switch {
	case o == nil:
		return false, nil
	case o.wait(urgent, time.Now()) > 0:
		return false, o.err
	}
	o.probing = true
	return true, nil
}

// find is the provider's outage, or nil.
func (r *reach) find(name string) *outage {
	o := r.outages[name]
	if o != nil && !o.probing && time.Since(o.ended) > believedFor {
		delete(r.outages, name)
		return nil
	}
	return o
}

func (o *outage) wait(urgent bool, now time.Time) time.Duration {
	switch {
	case o.probing:
		return maxIdle // its end wakes the loop
	case urgent:
		return o.ended.Add(urgentPause).Sub(now)
	default:
		return o.next.Sub(now)
	}
}

// settle takes in how a call ended: err is nil if the provider answered. It reports
// whether that is news. That an outage lasts only its probe can tell.
func (r *reach) settle(name string, probe bool, err error) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.find(name)
	out := o != nil
	switch {
	case err == nil:
		delete(r.outages, name)
		return out
	case !out:
		o = &outage{}
		r.outages[name] = o
	case !probe: // it was under way when the outage began
		return false
	}
	now := time.Now()
	o.err, o.probing, o.ended, o.next = err, false, now, now.Add(halfJitter(backoff(o.failures)))
	o.failures++
	return !out
}

// release takes back the admission of a probe that led to no answer and to no failure.
func (r *reach) release(name string, probe bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.find(name); probe && o != nil {
		o.probing = false
	}
}

// hasten lets the next probe begin at once: there is a sign of life.
func (r *reach) hasten(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.find(name); o != nil {
		o.next = time.Now()
	}
}

// turn tells how long a refresh has to wait, and whether it would be a probe.
func (r *reach) turn(name string, now time.Time) (wait time.Duration, probe bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.find(name)
	if o == nil {
		return 0, false
	}
	return o.wait(false, now), true
}

// why is the reason that a provider cannot be asked, or nil.
func (r *reach) why(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.find(name); o != nil {
		return o.err
	}
	return nil
}

// Unreachable names the providers that cannot be asked at present, and says why.
func (d *Deliverer) Unreachable() map[string]string {
	d.reach.mu.Lock()
	defer d.reach.mu.Unlock()
	found := map[string]string{}
	for name := range d.Providers {
		if o := d.reach.find(name); o != nil {
			found[name] = o.err.Error()
		}
	}
	return found
}

// unanswered is why the provider could not be asked, or nil if any pod has an answer.
func unanswered(outcomes []provider.Outcome) error {
	for _, o := range outcomes {
		if !errors.Is(o.Err, provider.ErrUnavailable) {
			return nil
		}
	}
	return outcomes[0].Err
}
