package core

import (
	"fmt"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

const (
	// emptyBelieved is how long an existing core has to answer with nothing where it had something.
	emptyBelieved = time.Minute
	// mostAnswered is how many pods' answers are remembered before those are dropped that asked for
	// nothing within answeredFor.
	mostAnswered, answeredFor = 1024, time.Hour
)

// emptied doubts an existing core that suddenly has nothing. In its contract an answer is all that a
// tenant has, and what is absent is withdrawn; so a database that is not there yet, or a tenant that
// is looked up wrongly, would take everything from all of the tenant's pods at once.
type emptied struct {
	mu   sync.Mutex
	pods map[answered]*had
}

type answered struct {
	pod  string
	kind entry.Kind
}

// had is when a pod's tenant had entries of a kind, and since when it has none.
type had struct{ at, emptySince time.Time }

// doubt is why an answer of so many entries is not believed yet; nil where it is.
func (e *emptied) doubt(pod provider.Identity, kind entry.Kind, count int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	key, now := answered{pod.PodUID, kind}, time.Now()
	known := e.pods[key]
	switch {
	case pod.PodUID == "" || known == nil && count == 0:
		return nil
	case count > 0:
		e.remember(key, now)
		return nil
	case known.emptySince.IsZero():
		known.emptySince = now
	case now.Sub(known.emptySince) >= emptyBelieved:
		delete(e.pods, key)
		return nil
	}
	return provider.OfCall(fmt.Errorf("%w: core says that there is no %s at all, and had some; that is believed once it has said so for %v",
		provider.ErrUnavailable, kind, emptyBelieved))
}

func (e *emptied) remember(key answered, now time.Time) {
	if e.pods == nil {
		e.pods = map[answered]*had{}
	}
	if len(e.pods) >= mostAnswered {
		for other, known := range e.pods {
			if now.Sub(known.at) > answeredFor {
				delete(e.pods, other)
			}
		}
	}
	e.pods[key] = &had{at: now}
}
