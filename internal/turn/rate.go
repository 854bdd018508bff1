package turn

import (
	"context"
	"time"
)

// rateShare lets one tenant have four in five of the calls.
const rateShare = 4

// Rate hands out calls: no more than so many begin within any period. A call's room is given back
// a period after its turn came, however long the call takes.
type Rate struct {
	queue  *Queue
	period time.Duration
}

// NewRate allows so many calls in a period.
func NewRate(calls int64, period time.Duration) Rate { return Rate{New(calls, rateShare), period} }

// Wait waits for the turn of a call on behalf of a tenant.
func (r Rate) Wait(ctx context.Context, of string) error {
	leave, err := r.queue.Take(ctx, of, 1)
	if err != nil {
		return err
	}
	time.AfterFunc(r.period, leave)
	return nil
}

type tenantKey struct{}

// For is a context for calls on behalf of a tenant, where whoever makes them cannot be told.
func For(ctx context.Context, of string) context.Context {
	return context.WithValue(ctx, tenantKey{}, of)
}

// Of is the tenant on whose behalf the calls of ctx are made; empty for this program's own.
func Of(ctx context.Context) string {
	of, _ := ctx.Value(tenantKey{}).(string)
	return of
}
