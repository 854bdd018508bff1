package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/secret"
)

// tokenKey stands for a token. Without the process's own key it tells nothing of the
// token, also to who reads the memory of one that ended.
type tokenKey [sha256.Size]byte

// remembered holds the callers of tokens that were told good, for a while. It is safe
// for concurrent use.
type remembered struct {
	secret   []byte
	capacity int
	lasting  time.Duration

	mu      sync.Mutex
	callers map[tokenKey]acquaintance
	arrived []tokenKey // the first to come first, each in callers
}

type acquaintance struct {
	who     Caller
	expires time.Time
}

func newRemembered(capacity int, lasting time.Duration) *remembered {
	r := &remembered{secret: make([]byte, sha256.Size), capacity: capacity, lasting: lasting, callers: map[tokenKey]acquaintance{}}
	_, _ = rand.Read(r.secret) // never fails: crypto/rand ends the program first
	return r
}

func (r *remembered) key(token secret.Text) (key tokenKey) {
	digest := hmac.New(sha256.New, r.secret)
	_, _ = digest.Write([]byte(token.Reveal())) // a digest takes everything
	digest.Sum(key[:0])
	return key
}

func (r *remembered) get(key tokenKey) (Caller, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, found := r.callers[key]
	return known.who, found && time.Now().Before(known.expires)
}

// put keeps a caller for the usual time, and no longer than the token is good.
func (r *remembered) put(key tokenKey, who Caller, tokenExpires time.Time) {
	expires := time.Now().Add(r.lasting)
	if !tokenExpires.IsZero() && tokenExpires.Before(expires) {
		expires = tokenExpires
	}
	if !time.Now().Before(expires) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.callers[key]; found {
		r.callers[key] = acquaintance{who, expires}
		return
	}
	r.makeRoom()
	r.callers[key] = acquaintance{who, expires}
	r.arrived = append(r.arrived, key)
}

// makeRoom forgets those who expired, up to the first that did not, and that one too
// where there is no room without.
func (r *remembered) makeRoom() {
	for len(r.arrived) > 0 {
		first := r.arrived[0]
		if len(r.arrived) < r.capacity && time.Now().Before(r.callers[first].expires) {
			return
		}
		delete(r.callers, first)
		r.arrived = r.arrived[1:]
	}
}
