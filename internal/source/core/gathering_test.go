package core

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
)

// A stream that has stood for a while ends with the first ticket that it does not show, so that
// the first pod of a service account is told of changes like all others; the rest of a crowd is
// gathered.
func TestAStreamEndsWithTheNextTicket(t *testing.T) {
	for name, stands := range map[string]time.Duration{"it stood for a while": -time.Minute, "it is new": gathering} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := &Client{tickets: newTickets()}
				client.tickets.take([]*secretsv1.Ticket{{About: []byte("a")}})
				ctx, end := context.WithCancelCause(t.Context())
				began := time.Now()
				client.awaitTickets(ctx, began.Add(stands), end)
				assert.ErrorIs(t, context.Cause(ctx), errMore)
				assert.Equal(t, max(stands, 0), time.Since(began))
			})
		})
	}
}
