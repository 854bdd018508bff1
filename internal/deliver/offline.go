package deliver

import (
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// mostRemembered bounds the copies of a node, in bytes.
const mostRemembered = 8 << 20

// memory is what this node was lately given, by identity and request (groupKey), so
// that a new pod can be given the same while the provider cannot be asked. A copy's
// values are overwritten when it expires or is replaced.
type memory struct {
	grace  time.Duration
	copies *cache.Cache[string, *memo]
}

func newMemory(grace time.Duration) memory {
	return memory{grace, cache.New[string](mostRemembered, (*memo).wipe)}
}

// learn takes in the answers to one call, which was for pods of one identity. A refusal
// of any of them ends the copy: what the identity may have is then for the provider
// alone to say.
func (m *memory) learn(key string, outcomes []provider.Outcome, fetched time.Time) {
	if m.grace == 0 || unanswered(outcomes) != nil {
		return
	}
	if slices.ContainsFunc(outcomes, func(o provider.Outcome) bool { return o.Err != nil }) {
		m.copies.Drop(key)
		return
	}
	made := newMemo(outcomes[0].Entries, fetched)
	m.copies.Put(key, made, made.size, m.grace)
}

// remind returns a copy that has not expired, and when it was fetched.
func (m *memory) remind(key string) (entries []entry.Entry, fetched time.Time, found bool) {
	found = m.grace > 0 && m.copies.Use(key, func(kept *memo) { entries, fetched = kept.restore(), kept.fetched })
	return entries, fetched, found
}
