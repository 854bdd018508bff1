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

// remembered holds the callers of tokens that were told good, for a while. It is safe
// for concurrent use.
type remembered struct {
	secret  []byte
	lasting time.Duration
	callers *cache.Cache[tokenKey, Caller]
}

func newRemembered(capacity int, lasting time.Duration) *remembered {
	r := &remembered{make([]byte, sha256.Size), lasting, cache.New[tokenKey, Caller](capacity, nil)}
	_, _ = rand.Read(r.secret) // never fails: crypto/rand ends the program first
	return r
}

func (r *remembered) key(token secret.Text) (key tokenKey) {
	digest := hmac.New(sha256.New, r.secret)
	_, _ = digest.Write([]byte(token.Reveal())) // a digest takes everything
	digest.Sum(key[:0])
	return key
}

func (r *remembered) get(key tokenKey) (Caller, bool) { return r.callers.Get(key) }

// put keeps a caller for the usual time, and no longer than the token is good.
func (r *remembered) put(key tokenKey, who Caller, tokenExpires time.Time) {
	lasting := r.lasting
	if !tokenExpires.IsZero() {
		lasting = min(lasting, time.Until(tokenExpires))
	}
	if lasting > 0 {
		r.callers.Put(key, who, 1, lasting)
	}
}
