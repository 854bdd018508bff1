package delivery

import (
	"slices"
	"time"

	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// entrySize is what an entry of a memo is reckoned to take besides its values, in bytes.
const entrySize = 512

// memo is one answer, its values apart from the rest so that they can be wiped.
type memo struct {
	skeleton provider.Result
	values   [][]byte
	size     int
	fetched  time.Time
	expiry   *time.Timer
}

func newMemo(result provider.Result, fetched time.Time) *memo {
	made := &memo{skeleton: clone(result), fetched: fetched}
	made.size = entrySize * (len(result.Connections) + len(result.Variables) + len(result.Refusals))
	for value := range values(&made.skeleton) {
		made.values = append(made.values, []byte(value.Reveal()))
		made.size += value.Len()
		*value = secret.Text{}
	}
	return made
}

func (m *memo) restore() provider.Result {
	result, next := clone(m.skeleton), 0
	for value := range values(&result) {
		*value = secret.New(string(m.values[next]))
		next++
	}
	return result
}

func (m *memo) wipe() {
	for _, value := range m.values {
		clear(value)
	}
}

// clone shares no memory with result that holds a secret.
func clone(result provider.Result) provider.Result {
	result.Connections = slices.Clone(result.Connections)
	result.Variables = slices.Clone(result.Variables)
	result.Refusals = slices.Clone(result.Refusals)
	for i := range result.Connections {
		c := &result.Connections[i].Connection
		c.Password, c.Extra = cloneText(c.Password), cloneText(c.Extra)
	}
	return result
}

func cloneText(text *secret.Text) *secret.Text {
	if text == nil {
		return nil
	}
	return new(*text)
}

// values yields every secret of a result, in an order that depends on its shape alone.
func values(result *provider.Result) func(yield func(*secret.Text) bool) {
	return func(yield func(*secret.Text) bool) {
		for i := range result.Connections {
			c := &result.Connections[i].Connection
			for _, text := range []*secret.Text{c.Password, c.Extra} {
				if text != nil && !yield(text) {
					return
				}
			}
		}
		for i := range result.Variables {
			if !yield(&result.Variables[i].Value) {
				return
			}
		}
	}
}
