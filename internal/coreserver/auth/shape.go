package auth

import (
	"context"
	"crypto"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// shape is what a token says of itself before anybody has checked its signature. It
// decides who checks, and never who the caller is.
type shape struct {
	jwt.RegisteredClaims
	method    jwt.SigningMethod
	keyID     string
	critical  bool
	signed    string
	signature []byte
}

// shapeOf is false where token is no JWT.
func shapeOf(token secret.Text) (shape, bool) {
	var content claims
	parsed, parts, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(token.Reveal(), &content)
	if err != nil {
		return shape{}, false
	}
	signature, err := jwt.NewParser(jwt.WithStrictDecoding()).DecodeSegment(parts[2])
	if err != nil {
		return shape{}, false
	}
	keyID, _ := parsed.Header["kid"].(string)
	return shape{
		RegisteredClaims: content.RegisteredClaims, method: parsed.Method, keyID: keyID, critical: hasCritical(parsed),
		signed: parts[0] + "." + parts[1], signature: signature,
	}, true
}

// hasCritical tells a token that is not to be taken by anybody who does not understand all
// that its header says. Nothing that could be meant is understood here: RFC 7515, section
// 4.1.11.
func hasCritical(token *jwt.Token) bool {
	_, critical := token.Header["crit"]
	return critical
}

// isTask tells a task instance's token by its algorithm, HMAC. No service-account token
// has such a signature, because Kubernetes gives its keys to nobody.
func (s shape) isTask() bool { return strings.HasPrefix(s.method.Alg(), "HS") }

// isSignedBy checks the signature by a public key of the kind that the token names.
func (s shape) isSignedBy(key crypto.PublicKey) bool {
	switch s.method.(type) {
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS, *jwt.SigningMethodECDSA:
		return s.method.Verify(s.signed, s.signature, key) == nil
	default:
		return false
	}
}

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

// Authenticate implements Authenticator. A token that either has seen is not taken apart
// again.
func (e Either) Authenticate(ctx context.Context, token secret.Text) (Caller, error) {
	if who, refusal, known := e.Tasks.known.get(e.Tasks.known.key(token)); known {
		return who, refusal
	}
	if who, refusal, known := e.Pods.known.get(e.Pods.known.key(token)); known {
		return who, refusal
	}
	if shape, known := shapeOf(token); known && shape.isTask() {
		return e.Tasks.Authenticate(ctx, token)
	}
	return e.Pods.Authenticate(ctx, token)
}
