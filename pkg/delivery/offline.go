package delivery

import (
	"slices"
	"sync"
	"time"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// mostRemembered bounds the copies of a node, in bytes.
const mostRemembered = 8 << 20

// memory is what this node was lately given, by identity and request (groupKey), so
// that a new pod can be given the same while the provider cannot be asked. A copy's
// values are overwritten when it expires or is replaced. The zero memory keeps nothing.
type memory struct {
	grace time.Duration

	mu     sync.Mutex
	copies map[string]*memo
	size   int
}

// learn takes in the answers to one call, which was for pods of one identity. A refusal
// of any of them ends the copy: what the identity may have is then for the provider
// alone to say.
func (m *memory) learn(key string, outcomes []provider.Outcome, fetched time.Time) {
	if m.grace == 0 || unanswered(outcomes) != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(key, m.copies[key])
	if slices.ContainsFunc(outcomes, func(o provider.Outcome) bool { return o.Err != nil }) {
		return
	}
	made := newMemo(outcomes[0].Entries, fetched)
	if made.size > mostRemembered {
		made.wipe()
		return
	}
	for m.size+made.size > mostRemembered {
		oldest := m.oldest()
		m.forget(oldest, m.copies[oldest])
	}
	made.expiry = time.AfterFunc(m.grace, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.forget(key, made)
	})
	m.copies[key] = made
	m.size += made.size
}

// remind returns a copy that has not expired, and when it was fetched.
func (m *memory) remind(key string) (entries []entry.Entry, fetched time.Time, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.copies[key]
	if kept == nil || time.Since(kept.fetched) >= m.grace {
		return nil, time.Time{}, false
	}
	return kept.restore(), kept.fetched, true
}

// forget wipes a copy, unless another has taken its place.
func (m *memory) forget(key string, kept *memo) {
	if kept == nil || m.copies[key] != kept {
		return
	}
	kept.expiry.Stop()
	kept.wipe()
	delete(m.copies, key)
	m.size -= kept.size
}

func (m *memory) oldest() (key string) {
	for candidate, kept := range m.copies {
		if key == "" || kept.fetched.Before(m.copies[key].fetched) {
			key = candidate
		}
	}
	return key
}
