package kube

import (
	"context"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/leoflow/secrets-csi/internal/turn"
)

// One node asks the API server, which thousands of nodes share, for 10 things in a quarter of a
// second. By the time they arrive some are late, so that no second has more than 50 there.
const (
	callsAtOnce = 10
	period      = 250 * time.Millisecond
)

// Pace bounds the calls of one node to the API server, which take turns by the tenants of their
// contexts.
type Pace struct{ rate turn.Rate }

// NewPace returns a Pace, of which a program has one.
func NewPace() Pace { return Pace{turn.NewRate(callsAtOnce, period)} }

// Of is config for calls at that pace.
func (p Pace) Of(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.RateLimiter = limiter(p)
	return config
}

// limiter is a Pace as client-go has such things. A call's own time limit begins with its turn.
type limiter Pace

var _ flowcontrol.RateLimiter = limiter{}

// Wait implements flowcontrol.RateLimiter.
func (l limiter) Wait(ctx context.Context) error { return l.rate.Wait(ctx, turn.Of(ctx)) }

// Accept implements flowcontrol.RateLimiter.
func (l limiter) Accept() { _ = l.Wait(context.Background()) }

// TryAccept implements flowcontrol.RateLimiter, for callers that do not wait: client-go has none.
func (limiter) TryAccept() bool { return false }

// QPS implements flowcontrol.RateLimiter.
func (limiter) QPS() float32 { return float32(callsAtOnce / period.Seconds()) }

// Stop implements flowcontrol.RateLimiter.
func (limiter) Stop() {}
