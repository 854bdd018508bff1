package turn

import (
	"context"
	"time"
)

// perSecond is how much of a second's calls one tenant may have: four in five.
const perSecond = 4

// Rate hands out calls: no more than so many begin in any second. A call's room is given back a
// second after its turn came, however long the call takes.
type Rate struct{ queue *Queue }

// NewRate allows so many calls a second.
func NewRate(calls int64) Rate { return Rate{New(calls, perSecond)} }

// Wait waits for the turn of a call on behalf of a tenant.
func (r Rate) Wait(ctx context.Context, of string) error {
	leave, err := r.queue.Take(ctx, of, 1)
	if err != nil {
		return err
	}
	time.AfterFunc(time.Second, leave)
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
