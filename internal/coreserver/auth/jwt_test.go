package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

const key = "0123456789abcdefghijklmnopqrstuv"

var (
	noon   = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	caller = Caller{Subject: "ti-1", Tenant: "acme", DAG: "billing", Run: "manual_1", Task: "load", Try: 2}
)

func newTokens(t testing.TB) *Tokens {
	tokens, err := NewTokens(secret.New(key+"\n"), LongestLife, func() time.Time { return noon })
	require.NoError(t, err)
	return tokens
}

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "leoflow", "aud": "leoflow-agent", "sub": "ti-1", "exp": noon.Add(time.Minute).Unix(),
		"tenant_id": "acme", "dag_id": "billing", "run_id": "manual_1", "task_id": "load", "try_number": 2,
	}
}

func sign(t testing.TB, method jwt.SigningMethod, claims jwt.MapClaims, key any) secret.Text {
	signed, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return secret.New(signed)
}

// signText is a token whose claims are any text.
func signText(t testing.TB, text string) secret.Text {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(text))
	signature, err := jwt.SigningMethodHS256.Sign(signed, []byte(key))
	require.NoError(t, err)
	return secret.New(signed + "." + encode(signature))
}

// critical is well signed and demands more than anybody here understands.
func critical(t testing.TB) secret.Text {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, goodClaims())
	token.Header["crit"] = []string{"b64"}
	signed, err := token.SignedString([]byte(key))
	require.NoError(t, err)
	return secret.New(signed)
}

// withTrailingBits writes a token otherwise: the last letter of a signature of 32 bytes
// has two bits to spare. Whoever knows one writing of a token could make more of them.
func withTrailingBits(token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(letters[strings.IndexByte(letters, token[last])|1])
}

func TestAuthenticateTakesWhatCoresMint(t *testing.T) {
	who, err := newTokens(t).Authenticate(context.Background(), sign(t, jwt.SigningMethodHS256, goodClaims(), []byte(key)))
	require.NoError(t, err)
	assert.Equal(t, caller, who)
}

func TestMint(t *testing.T) {
	tokens := newTokens(t)
	token, err := tokens.Mint(caller, time.Minute)
	require.NoError(t, err)
	who, err := tokens.Authenticate(context.Background(), token)
	require.NoError(t, err)
	assert.Equal(t, caller, who)

	nameless := caller
	nameless.Subject = ""
	token, err = tokens.Mint(nameless, time.Minute)
	require.NoError(t, err)
	who, err = tokens.Authenticate(context.Background(), token)
	require.NoError(t, err)
	assert.Equal(t, "billing/manual_1/load/2", who.Subject)

	_, err = tokens.Mint(caller, 0)
	assert.EqualError(t, err, "minting token: it would live for 0s; want more than nothing and at most 168h0m0s")
	_, err = tokens.Mint(caller, LongestLife+1)
	assert.ErrorContains(t, err, "at most 168h0m0s")
	_, err = tokens.Mint(Caller{Subject: "s"}, time.Minute)
	assert.EqualError(t, err, "minting token: it has no tenant_id")
}

func TestNewTokensRefusesAShortKey(t *testing.T) {
	for text, message := range map[string]string{
		"short\n":                 "JWT key has 5 bytes; HS256 needs at least 32",
		strings.Repeat("k", 40):   "JWT key repeats itself too much to be random; make one by 'head -c 32 /dev/urandom | base64'",
		strings.Repeat("key-", 9): "JWT key repeats itself too much to be random; make one by 'head -c 32 /dev/urandom | base64'",
	} {
		_, err := NewTokens(secret.New(text), LongestLife, time.Now)
		assert.EqualError(t, err, message)
	}
}

// A good token is found again by its hash. Nothing else of it decides, nor does a bad one get
// in by looking like it.
func TestATasksTokenIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, err := NewTokens(secret.New(key), LongestLife, time.Now)
		require.NoError(t, err)
		token, err := tokens.Mint(caller, 90*time.Second)
		require.NoError(t, err)
		for range 10 {
			who, err := tokens.Authenticate(t.Context(), token)
			require.NoError(t, err)
			assert.Equal(t, caller, who)
		}
		assert.Equal(t, 1, tokens.known.good.Len())
		_, err = tokens.Authenticate(t.Context(), secret.New(withTrailingBits(token.Reveal())))
		require.ErrorIs(t, err, ErrRefused)
		time.Sleep(taskRemembered)
		_, err = tokens.Authenticate(t.Context(), token)
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		_, err = tokens.Authenticate(t.Context(), token)
		require.ErrorIs(t, err, ErrRefused, "it is not remembered longer than it lives")
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	tokens, err := NewTokens(secret.New(key), LongestLife, time.Now)
	require.NoError(b, err)
	token, err := tokens.Mint(caller, time.Hour)
	require.NoError(b, err)
	for b.Loop() {
		if _, err := tokens.Authenticate(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAuthenticateRefuses(t *testing.T) {
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	with := func(claim string, value any) secret.Text {
		claims := goodClaims()
		claims[claim] = value
		if value == nil {
			delete(claims, claim)
		}
		return sign(t, jwt.SigningMethodHS256, claims, []byte(key))
	}
	good := with("sub", "ti-1").Reveal()
	parts := strings.Split(good, ".")

	for name, row := range map[string]struct {
		token   secret.Text
		message string
	}{
		"none":              {secret.Text{}, "there is none"},
		"not a JWT":         {secret.New("n33dle"), "it is not a JWT signed by HS256"},
		"three parts":       {secret.New("n33dle.n33dle.n33dle"), "it is not a JWT signed by HS256"},
		"expired":           {with("exp", noon.Add(-90*time.Second).Unix()), "it expired 1m30s ago, at 2026-05-01T11:58:30Z"},
		"expires now":       {with("exp", noon.Unix()), "it expired 0s ago, at 2026-05-01T12:00:00Z"},
		"without exp":       {with("exp", nil), "it lacks exp, iss or aud"},
		"without iss":       {with("iss", nil), "it lacks exp, iss or aud"},
		"another iss":       {with("iss", "n33dle"), "its iss is not leoflow"},
		"without aud":       {with("aud", nil), "it lacks exp, iss or aud"},
		"another aud":       {with("aud", "leoflow-core"), "its aud is not leoflow-agent"},
		"without sub":       {with("sub", nil), "it lacks sub or tenant_id"},
		"without tenant":    {with("tenant_id", nil), "it lacks sub or tenant_id"},
		"empty tenant":      {with("tenant_id", ""), "it lacks sub or tenant_id"},
		"try as text":       {with("try_number", "n33dle"), "its try_number is not an integer"},
		"try as digits":     {with("try_number", "1"), "its try_number is not an integer"},
		"half a try":        {with("try_number", 1.5), "its try_number is not an integer"},
		"tenant 7":          {with("tenant_id", 7), "its tenant_id is not text"},
		"aud as object":     {with("aud", map[string]int{"n33dle": 1}), "its aud is not text or a list of texts"},
		"exp as text":       {with("exp", "n33dle"), "its exp is not a number of seconds since 1970, up to the year 9999"},
		"exp too late":      {with("exp", 1e300), "its exp is not a number of seconds since 1970, up to the year 9999"},
		"exp too early":     {with("exp", -1e300), "its exp is not a number of seconds since 1970, up to the year 9999"},
		"null exp":          {with("exp", json.RawMessage("null")), "it lacks exp, iss or aud"},
		"iat in the future": {with("iat", noon.Add(2*time.Minute).Unix()), "its iat is in the future; compare the clocks of core and of whoever minted it"},
		"a hundred years":   {with("exp", noon.AddDate(100, 0, 0).Unix()), "it lives for 876576h0m0s, and at most 168h0m0s are accepted: mint shorter ones, or raise --max-token-ttl"},
		"born long ago": {sign(t, jwt.SigningMethodHS256, jwt.MapClaims{
			"iss": "leoflow", "aud": "leoflow-agent", "sub": "ti-1", "tenant_id": "acme",
			"iat": noon.Add(-LongestLife).Unix(), "exp": noon.Add(time.Hour).Unix(),
		}, []byte(key)), "it lives for 169h0m0s, and at most 168h0m0s are accepted: mint shorter ones, or raise --max-token-ttl"},
		"crit":           {critical(t), "its header has crit, and core understands nothing that may stand there"},
		"trailing bits":  {secret.New(withTrailingBits(good)), "it is not a JWT signed by HS256"},
		"list of claims": {signText(t, "[]"), "it is not a JWT signed by HS256"},
		"not yet":        {with("nbf", noon.Add(time.Minute).Unix()), "it is not valid yet; compare the clocks of core and of whoever minted it"},
		"another key":    {sign(t, jwt.SigningMethodHS256, goodClaims(), []byte(strings.Repeat("x", 32))), "it is not signed with core's key by HS256"},
		"HS512":          {sign(t, jwt.SigningMethodHS512, goodClaims(), []byte(key)), "it is not signed with core's key by HS256"},
		"ES256":          {sign(t, jwt.SigningMethodES256, goodClaims(), elliptic), "it is not signed with core's key by HS256"},
		"alg none":       {sign(t, jwt.SigningMethodNone, goodClaims(), jwt.UnsafeAllowNoneSignatureType), "it is not signed with core's key by HS256"},
		"no signature":   {secret.New(parts[0] + "." + parts[1] + "."), "it is not signed with core's key by HS256"},
		"other claims":   {secret.New(parts[0] + "." + strings.Split(with("tenant_id", "other").Reveal(), ".")[1] + "." + parts[2]), "it is not signed with core's key by HS256"},
	} {
		who, err := newTokens(t).Authenticate(context.Background(), row.token)
		assert.ErrorIs(t, err, ErrRefused, name)
		assert.EqualError(t, err, "token refused: "+row.message, name)
		assert.Zero(t, who, name)
		for _, part := range strings.Split(row.token.Reveal(), ".") {
			if len(part) > 3 {
				assert.NotContains(t, err.Error(), part, name)
			}
		}
	}
}
