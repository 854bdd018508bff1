package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// tokenKey stands for a token. Without the process's own key it tells nothing of the
// token, also to who reads the memory of one that ended.
type tokenKey [sha256.Size]byte

// remembered holds what was found out about tokens, for a while: whose the good ones are,
// and why the others are refused. These are kept apart, so that any number of bad tokens
// makes no good one forgotten. It is safe for concurrent use.
type remembered struct {
	secret []byte
	good   *cache.Cache[tokenKey, Caller]
	bad    *cache.Cache[tokenKey, error]
}

func newRemembered(capacity int) *remembered {
	r := &remembered{make([]byte, sha256.Size), cache.New[tokenKey, Caller](capacity, nil), cache.New[tokenKey, error](capacity, nil)}
	_, _ = rand.Read(r.secret) // never fails: crypto/rand ends the program first
	return r
}

func (r *remembered) key(token secret.Text) (key tokenKey) {
	digest := hmac.New(sha256.New, r.secret)
	_, _ = digest.Write([]byte(token.Reveal())) // a digest takes everything
	digest.Sum(key[:0])
	return key
}

// get is false where nothing is known of the token.
func (r *remembered) get(key tokenKey) (who Caller, refusal error, known bool) {
	if who, known = r.good.Get(key); known {
		return who, nil, true
	}
	refusal, known = r.bad.Get(key)
	return Caller{}, refusal, known
}

// accept keeps a caller for a while, and no longer than the token is good.
func (r *remembered) accept(key tokenKey, who Caller, lasting time.Duration, tokenExpires time.Time) {
	if !tokenExpires.IsZero() {
		lasting = min(lasting, time.Until(tokenExpires))
	}
	if lasting > 0 {
		r.good.Put(key, who, 1, lasting)
	}
}

func (r *remembered) refuse(key tokenKey, why error, lasting time.Duration) {
	if lasting > 0 {
		r.bad.Put(key, why, 1, lasting)
	}
}
