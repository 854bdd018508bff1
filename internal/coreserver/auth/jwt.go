package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// What a per-task-instance token says of itself; existing cores write the same.
const (
	Issuer   = "leoflow"
	Audience = "leoflow-agent"
)

// minKeySize is what RFC 7518, section 3.2, asks of an HS256 key.
const minKeySize = 32

// Tokens mints and checks per-task-instance tokens: JWTs signed with HS256.
type Tokens struct {
	key    secret.Text
	now    func() time.Time
	parser *jwt.Parser
}

// NewTokens takes the shared key and the clock that tokens expire by. Space around the
// key, such as a file's last newline, is not part of it.
func NewTokens(key secret.Text, now func() time.Time) (*Tokens, error) {
	trimmed := secret.New(strings.TrimSpace(key.Reveal()))
	if trimmed.Len() < minKeySize {
		return nil, fmt.Errorf("JWT key has %d bytes; HS256 needs at least %d", trimmed.Len(), minKeySize)
	}
	return &Tokens{key: trimmed, now: now, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(Issuer), jwt.WithAudience(Audience),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(now),
		jwt.WithStrictDecoding(),
	)}, nil
}

// Key is the shared key, for deriving others from it.
func (t *Tokens) Key() secret.Text { return t.key }

// Mint signs a token for caller that lives for ttl. An empty Subject is filled in with
// the task instance's own name.
func (t *Tokens) Mint(caller Caller, ttl time.Duration) (secret.Text, error) {
	if ttl <= 0 {
		return secret.Text{}, fmt.Errorf("minting token: it would live for %s; want more than nothing", ttl)
	}
	if caller.Subject == "" {
		caller.Subject = fmt.Sprintf("%s/%s/%s/%d", caller.DAG, caller.Run, caller.Task, caller.Try)
	}
	content := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: Issuer, Audience: jwt.ClaimStrings{Audience}, Subject: caller.Subject,
			IssuedAt: jwt.NewNumericDate(t.now()), ExpiresAt: jwt.NewNumericDate(t.now().Add(ttl)),
		},
		Tenant: caller.Tenant, DAG: caller.DAG, Run: caller.Run, Task: caller.Task, Try: caller.Try,
	}
	if err := content.Validate(); err != nil {
		return secret.Text{}, fmt.Errorf("minting token: it %w", err)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, content).SignedString([]byte(t.key.Reveal()))
	if err != nil {
		return secret.Text{}, fmt.Errorf("minting token: %w", err)
	}
	return secret.New(signed), nil
}

// Authenticate implements Authenticator.
func (t *Tokens) Authenticate(_ context.Context, token secret.Text) (Caller, error) {
	if token.Len() == 0 {
		return Caller{}, refused("there is none")
	}
	var content claims
	_, err := t.parser.ParseWithClaims(token.Reveal(), &content, func(*jwt.Token) (any, error) {
		return []byte(t.key.Reveal()), nil
	})
	if err != nil {
		return Caller{}, refused(t.whyRefused(err, content))
	}
	return Caller{
		Subject: content.Subject, Tenant: content.Tenant, DAG: content.DAG,
		Run: content.Run, Task: content.Task, Try: content.Try,
	}, nil
}

// whyRefused words the library's errors anew: its own may quote parts of the token.
// Claims are quoted only once the signature has proved that core wrote them.
func (t *Tokens) whyRefused(err error, content claims) string {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return "it is not signed with core's key by HS256"
	case !errors.Is(err, jwt.ErrTokenInvalidClaims):
		return "it is not a JWT signed by HS256"
	case content.fault != "":
		return content.fault
	case errors.Is(err, jwt.ErrTokenExpired):
		ago := t.now().Sub(content.ExpiresAt.Time).Round(time.Second)
		return fmt.Sprintf("it expired %s ago, at %s", ago, content.ExpiresAt.UTC().Format(time.RFC3339))
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return "it is not valid yet; compare the clocks of core and of whoever minted it"
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "its aud is not " + Audience
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return "its iss is not " + Issuer
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return "it lacks exp, iss or aud"
	default:
		return "it lacks sub or tenant_id"
	}
}
