package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/leoflow/secrets-csi/internal/coreserver/entropy"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// What a per-task-instance token says of itself; existing cores write the same.
const (
	Issuer   = "leoflow"
	Audience = "leoflow-agent"
)

const (
	// minKeySize is what RFC 7518, section 3.2, asks of an HS256 key.
	minKeySize = 32
	// LongestLife is how long a token may live, where nothing else is set.
	LongestLife = 7 * 24 * time.Hour
	// skew is how far the clock of who mints may be ahead of core's.
	skew = time.Minute
	// taskRemembered is how long a task instance's token is not checked again. Nothing ends
	// one before it expires.
	taskRemembered = time.Minute
)

// Tokens mints and checks per-task-instance tokens: JWTs signed with HS256.
type Tokens struct {
	key         secret.Text
	longestLife time.Duration
	now         func() time.Time
	parser      *jwt.Parser
	known       *remembered
}

// NewTokens takes the shared key, how long a token may live, and the clock that tokens
// expire by. Space around the key, such as a file's last newline, is not part of it.
func NewTokens(key secret.Text, longestLife time.Duration, now func() time.Time) (*Tokens, error) {
	trimmed := secret.New(strings.TrimSpace(key.Reveal()))
	switch {
	case trimmed.Len() < minKeySize:
		return nil, fmt.Errorf("JWT key has %d bytes; HS256 needs at least %d", trimmed.Len(), minKeySize)
	case entropy.Bits(trimmed.Reveal()) < entropy.Least:
		return nil, errors.New("JWT key repeats itself too much to be random; make one by 'head -c 32 /dev/urandom | base64'")
	}
	return &Tokens{key: trimmed, longestLife: longestLife, now: now, known: newRemembered(mostRemembered), parser: jwt.NewParser(
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
	if ttl <= 0 || ttl > t.longestLife {
		return secret.Text{}, fmt.Errorf("minting token: it would live for %s; want more than nothing and at most %s", ttl, t.longestLife)
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
	key := t.known.key(token)
	if who, _, found := t.known.get(key); found {
		return who, nil
	}
	var content claims
	parsed, err := t.parser.ParseWithClaims(token.Reveal(), &content, func(*jwt.Token) (any, error) {
		return []byte(t.key.Reveal()), nil
	})
	if err != nil {
		return Caller{}, refused(t.whyRefused(err, content))
	}
	if why := t.strange(parsed, content); why != "" {
		return Caller{}, refused(why)
	}
	who := Caller{
		Subject: content.Subject, Tenant: content.Tenant, DAG: content.DAG,
		Run: content.Run, Task: content.Task, Try: content.Try,
	}
	t.known.accept(key, who, min(taskRemembered, content.ExpiresAt.Sub(t.now())), time.Time{})
	return who, nil
}

// strange is why a token is refused that is well signed and says what no sound minter
// would.
func (t *Tokens) strange(token *jwt.Token, content claims) string {
	born := t.now()
	if content.IssuedAt != nil {
		born = content.IssuedAt.Time
	}
	switch lives := content.ExpiresAt.Sub(born); {
	case hasCritical(token):
		return "its header has crit, and core understands nothing that may stand there"
	case born.After(t.now().Add(skew)):
		return "its iat is in the future; compare the clocks of core and of whoever minted it"
	case lives > t.longestLife+skew:
		return fmt.Sprintf("it lives for %s, and at most %s are accepted: mint shorter ones, or raise --max-token-ttl", lives.Round(time.Second), t.longestLife)
	default:
		return ""
	}
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
