package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/leoflow/secrets-csi/internal/report"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// observeFetch tells of a fetch that took from started until now.
func (d *Deliverer) observeFetch(name string, outcomes []provider.Outcome, started time.Time) {
	fetch := report.Fetch{Source: name, Outcome: "ok", Took: time.Since(started), Refusals: map[entry.State]int{}}
	for _, o := range outcomes {
		if fetch.Outcome == "ok" {
			fetch.Outcome = errorWord(o.Err)
		}
		for _, e := range o.Entries {
			if e.State != entry.Delivered {
				fetch.Refusals[e.State]++
			}
		}
	}
	d.Observer.Fetched(fetch)
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
	default:
		return "error"
	}
}
