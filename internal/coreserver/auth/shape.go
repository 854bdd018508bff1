package auth

import (
	"context"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// shape is what a token says of itself before anybody has checked its signature. It
// decides who checks, and never who the caller is.
type shape struct {
	jwt.RegisteredClaims
	algorithm string
}

// shapeOf is false where token is no JWT.
func shapeOf(token secret.Text) (shape, bool) {
	var content claims
	parsed, _, err := jwt.NewParser().ParseUnverified(token.Reveal(), &content)
	if err != nil {
		return shape{}, false
	}
	return shape{content.RegisteredClaims, parsed.Method.Alg()}, true
}

// isTask tells a task instance's token by its algorithm, HMAC. No service-account token
// has such a signature, because Kubernetes gives its keys to nobody.
func (s shape) isTask() bool { return strings.HasPrefix(s.algorithm, "HS") }

// expires is zero where the token does not say.
func (s shape) expires() time.Time {
	if s.ExpiresAt == nil {
		return time.Time{}
	}
	return s.ExpiresAt.Time
}

func (s shape) isExpired() bool {
	return s.ExpiresAt != nil && !time.Now().Before(s.ExpiresAt.Time)
}

// Either checks tokens of both sorts, each by the one who can. A task instance's token
// never goes to Kubernetes, nor a pod's to the shared key.
type Either struct {
	Tasks *Tokens
	Pods  *Pods
}

// Authenticate implements Authenticator.
func (e Either) Authenticate(ctx context.Context, token secret.Text) (Caller, error) {
	if shape, known := shapeOf(token); known && shape.isTask() {
		return e.Tasks.Authenticate(ctx, token)
	}
	return e.Pods.Authenticate(ctx, token)
}
