package deliver

import (
	"iter"
	"time"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

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
