package secretmanager

import (
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/internal/outage"
)

const (
	// retryAway is the time from one attempt that found a place away to the next.
	retryAway = 3 * time.Second
	// forgetAway is how long an outage is believed in that nobody looks into.
	forgetAway = time.Minute
)

// outages are the places that cannot be asked, for everybody or for one identity. Calls may be
// made at once.
type outages struct {
	mu    sync.Mutex
	known outage.Outages
}

// newOutages waits so long after the first attempt that failed, and retryAway after others.
func newOutages(first time.Duration) *outages {
	pause := func(failures int) time.Duration {
		if failures == 0 {
			return first
		}
		return retryAway
	}
	return &outages{known: outage.Outages{Pause: pause, ForgetAfter: forgetAway}}
}

// admit returns a call, whose end has to be told, or why the place cannot be asked.
func (o *outages) admit(at outage.Scope) (outage.Call, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known.Admit(at, false, time.Now())
}

func (o *outages) called(call outage.Call, verdict outage.Verdict, why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known.Called(call, verdict, why, time.Now())
}
