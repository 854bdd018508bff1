package coreserver

import (
	"sync"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/coreserver/store"
)

// shared is what two watchers have alike who are to be told the same.
type shared struct {
	from, to store.Position
	told     string
	all      bool
	scope    string
}

// recent are the messages that lead to the newest state. Most nodes of a cluster run the same few
// service accounts, and each message is made once for all of them.
type recent struct {
	mu    sync.Mutex
	to    store.Position
	made  map[shared]*secretsv1.WatchResponse
	names int // in those made, together
}

// What bounds them.
const (
	mostRecent = 1024
	mostNames  = 1 << 16
)

func (r *recent) get(key shared, compose func() *secretsv1.WatchResponse) *secretsv1.WatchResponse {
	if message := r.find(key); message != nil {
		return message
	}
	message := compose()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.to == key.to && len(r.made) < mostRecent && r.names+len(message.GetEntries()) <= mostNames {
		r.made[key] = message
		r.names += len(message.GetEntries())
	}
	return message
}

func (r *recent) find(key shared) *secretsv1.WatchResponse {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key.to > r.to {
		r.to, r.made, r.names = key.to, map[shared]*secretsv1.WatchResponse{}, 0
	}
	return r.made[key]
}
