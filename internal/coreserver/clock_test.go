package coreserver_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver"
	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// startStepped boots a core whose clock step sets forth or back.
func startStepped(t *testing.T, step *atomic.Int64) *core {
	now := func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
	return startCore(t, func(config *coreserver.Config) {
		stepped, err := auth.NewTokens(secret.New(jwtKey), auth.LongestLife, now)
		require.NoError(t, err)
		config.Authenticator, config.Now = stepped, now
		config.Heartbeat = 5 * time.Millisecond
	})
}

// A core whose clock is set forth or back by hours withdraws nothing: what it takes for expired, or for
// not yet there, it refuses as a token, which keeps the files of a pod that runs; and when the clock
// is right again, so is everything. Watches stand all the while, and decisions are recorded.
func TestAClockThatStepsWithdrawsNothing(t *testing.T) {
	var step atomic.Int64
	c := startStepped(t, &step)
	mint := func(life time.Duration) string { // by a clock that is right
		token, err := c.tokens.Mint(auth.Caller{Tenant: "acme", DAG: "billing_1", Run: "run", Task: time.Now().String(), Try: 1}, life)
		require.NoError(t, err)
		return token.Reveal()
	}
	fetch := func(token string) *secretsv1.CallerResult {
		response, err := c.secrets(c.authority.pair("node-1")).Fetch(within(t), &secretsv1.FetchRequest{Callers: callers(token), Variables: named("env")})
		require.NoError(t, err)
		return response.Results[0]
	}
	ticket := c.tickets("node-1", "acme", "warehouse")
	w := c.scoped("node-1", &secretsv1.WatchRequest{Tickets: ticket})
	w.next()
	for _, row := range []struct {
		name    string
		step    time.Duration
		life    time.Duration
		refusal string // of the token as a whole
	}{
		{"right", 0, time.Hour, ""},
		{"three hours ahead, a token of a day", 3 * time.Hour, 24 * time.Hour, ""},
		{"three hours ahead, a token of an hour", 3 * time.Hour, time.Hour, "it expired 2h0m"},
		{"seconds ahead, a token of a second", 20 * time.Second, time.Second, "it expired "},
		{"within the leeway behind", -30 * time.Second, time.Hour, ""},
		{"three hours behind", -3 * time.Hour, 24 * time.Hour, "its iat is in the future"},
		{"right again", 0, time.Hour, ""},
	} {
		step.Store(int64(row.step))
		records := len(c.records())
		result := fetch(mint(row.life))
		if row.refusal == "" {
			assert.Empty(t, result.Unauthenticated, row.name)
			assert.Len(t, result.Variables, 1, row.name)
		} else {
			assert.Contains(t, result.Unauthenticated, row.refusal, row.name)
			assert.Empty(t, result.Variables, row.name)
		}
		assert.Empty(t, result.Refusals, "%s: an entry that is withdrawn", row.name)
		assert.Greater(t, len(c.records()), records, row.name)
		if row.step >= 0 {
			assert.True(t, c.takes("node-1", ticket[0]), row.name)
		}
		w.next() // a heartbeat
	}
	c.write("connections.json", `{"warehouse": "postgres://loader:n33dle@other:5432/main"}`)
	for message := w.next(); ; message = w.next() {
		if len(message.Entries) > 0 {
			assert.Contains(t, names(message), "warehouse", "the watch stood all the while")
			break
		}
	}
}
