package fetch

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/internal/cache"
	"github.com/leoflow/secrets-csi/internal/seam"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// mostRemembered bounds the copies of a node, in bytes.
const mostRemembered = 8 << 20

// memory is what this node was lately given, by identity and request (seam.KeyOf), so
// that a new pod can be given the same while the provider cannot be asked. A copy's
// values are overwritten when it expires or is replaced.
type memory struct {
	grace  time.Duration
	copies *cache.Cache[string, *memo]
}

func newMemory(grace time.Duration) memory {
	return memory{grace, cache.New[string](mostRemembered, (*memo).wipe)}
}

// away is what is said of a source that is not asked.
func (*Fetcher) away(work seam.Work) []provider.Outcome {
	return slices.Repeat([]provider.Outcome{{Err: provider.ErrUnavailable}}, len(work.Volumes))
}

// knownOf is what there is to go by for a volume: what was said just now, or for a new pod, what is
// remembered, if there is memory for that.
func (f *Fetcher) knownOf(work seam.Work, v seam.Volume, said known) known {
	if !errors.Is(said.Err, provider.ErrUnavailable) || v.IsLive || !sharesMemory(v) {
		return said
	}
	entries, at, found := f.memory.get(seam.KeyOf(work.Source, v.Pod, work.Request))
	switch {
	case !found:
		return said
	case bytesOf(entries) <= work.MaxBytes:
		return known{provider.Outcome{Entries: entries}, at, said.Err}
	case work.Partial: // there is no more
		return said
	}
	return known{Outcome: provider.Outcome{Err: seam.ErrOutgrown}, fetched: at}
}

// remember keeps what volumes were given, if that may be given to others like them.
func (f *Fetcher) remember(work seam.Work, outcomes []provider.Outcome) {
	if !slices.ContainsFunc(work.Volumes, func(v seam.Volume) bool { return !sharesMemory(v) }) {
		f.memory.put(seam.KeyOf(work.Source, work.Volumes[0].Pod, work.Request), outcomes, time.Now())
	}
}

// sharesMemory tells whether what the volume is given may be given to others like it, and
// the other way round. What a task's own token brings may not: the next pod of the service
// account is another task. Nor may what is brought by a pod that only says whose it is.
func sharesMemory(v seam.Volume) bool { return !v.Pod.TaskToken && v.Pod.IsAttested() }

// put takes in the answers to one call, which was for pods of one identity. A refusal
// of any of them ends the copy: what the identity may have is then for the provider
// alone to say.
func (m *memory) put(key string, outcomes []provider.Outcome, fetched time.Time) {
	if m.grace == 0 || !isAnswered(outcomes) {
		return
	}
	if slices.ContainsFunc(outcomes, func(o provider.Outcome) bool { return o.Err != nil }) {
		m.copies.Drop(key)
		return
	}
	if slices.ContainsFunc(outcomes[0].Entries, func(e entry.Entry) bool { return e.State == entry.Unavailable }) {
		return // it says nothing of what the copy has
	}
	made := newMemo(outcomes[0].Entries, fetched)
	m.copies.Put(key, made, made.size, m.grace)
}

// isAnswered reports whether the source could be asked for any pod.
func isAnswered(outcomes []provider.Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o provider.Outcome) bool { return !errors.Is(o.Err, provider.ErrUnavailable) })
}

// get returns a copy that has not expired, and when it was fetched.
func (m *memory) get(key string) (entries []entry.Entry, fetched time.Time, found bool) {
	found = m.grace > 0 && m.copies.Use(key, func(kept *memo) { entries, fetched = kept.restore(), kept.fetched })
	return entries, fetched, found
}

// entrySize is what an entry of a memo is reckoned to take besides its values, in bytes.
const entrySize = 512

// memo is one answer, its values apart from the rest so that they can be wiped.
type memo struct {
	skeleton []entry.Entry
	values   [][]byte
	size     int
	fetched  time.Time
}

func newMemo(entries []entry.Entry, fetched time.Time) *memo {
	made := &memo{skeleton: clone(entries), size: entrySize * len(entries), fetched: fetched}
	for value := range values(made.skeleton) {
		made.values = append(made.values, []byte(value.Reveal()))
		made.size += value.Len()
		*value = secret.Text{}
	}
	return made
}

func (m *memo) restore() []entry.Entry {
	entries, next := clone(m.skeleton), 0
	for value := range values(entries) {
		*value = secret.New(string(m.values[next]))
		next++
	}
	return entries
}

func (m *memo) wipe() {
	for _, value := range m.values {
		clear(value)
	}
}

// clone shares no memory with entries that holds a secret.
func clone(entries []entry.Entry) []entry.Entry {
	cloned := make([]entry.Entry, len(entries))
	for i, e := range entries {
		cloned[i] = e.Clone()
	}
	return cloned
}

// values yields every secret of the entries, in an order that depends on their shape alone.
func values(entries []entry.Entry) iter.Seq[*secret.Text] {
	return func(yield func(*secret.Text) bool) {
		for i := range entries {
			for value := range entries[i].Secrets() {
				if !yield(value) {
					return
				}
			}
		}
	}
}
