package cloudtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/source/store"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
	"github.com/leoflow/secrets-csi/pkg/provider/providertest"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

// Held are the secrets of a server, and those that nobody may read.
type Held struct {
	mu     sync.Mutex
	values map[string]string
	denied map[string]bool
}

// HoldSecrets has the server hold secrets, and tell of their names.
func (s *Server) HoldSecrets() *Held {
	held := &Held{values: map[string]string{}, denied: map[string]bool{}}
	s.Hold(held.read)
	s.Secrets = func() []string {
		held.mu.Lock()
		defer held.mu.Unlock()
		return slices.Sorted(maps.Keys(held.values))
	}
	return held
}

// Set writes a secret.
func (h *Held) Set(name, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[name] = value
}

// Deny has nobody read a secret.
func (h *Held) Deny(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.denied[name] = true
}

func (h *Held) read(_, name, _ string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	value, found := h.values[name]
	switch {
	case h.denied[name]:
		return "", provider.ErrDenied
	case !found:
		return "", provider.ErrMissing
	}
	return value, nil
}

// RunStoreContract holds the provider of a store to the contract of providers. name is where the server
// has an entry of a kind. Of ids that the contract has and some stores cannot, dots are hyphens there.
func RunStoreContract(t *testing.T, audience string, name func(kind, id string) string, serve func(t *testing.T) (*store.Provider, *Server)) {
	t.Run("a listing that is too large", func(t *testing.T) { largeListing(t, audience, name, serve) })
	providertest.Run(t, providertest.Harness{
		Authenticates: true, Denies: true,
		Serve: func(t *testing.T, world providertest.World) providertest.Source {
			served, server := serve(t)
			held := server.HoldSecrets()
			for _, connection := range world.Connections {
				held.Set(name("connections", undotted(connection.ID)), string(connection.JSON()))
			}
			held.Set(name("connections", world.Broken), `{"conn_type": "http", "port": 70000}`)
			set := func(key, value string) { held.Set(name("variables", key), value) }
			for key, value := range world.Variables {
				set(key, value)
			}
			held.Deny(name("variables", world.Forbidden))
			silent := func(Step) *Fault { return &Fault{Silent: true} }
			return providertest.Source{
				Provider: dotless{served}, Known: (&issued{tokens: server.Tokens, audience: audience}).pod, SetVariable: set,
				Freeze: func() { server.Break(silent) }, Break: server.Stop,
			}
		},
	})
}

// largeListing has a store list more than there is room for, which is to be told as that, whatever an SDK makes of an
// answer that is not read to its end.
func largeListing(t *testing.T, audience string, name func(kind, id string) string, serve func(t *testing.T) (*store.Provider, *Server)) {
	served, server := serve(t)
	held := server.HoldSecrets()
	for i := range 1000 {
		held.Set(name("connections", fmt.Sprintf("large-%d-%s", i, strings.Repeat("x", 60))), "http://h")
	}
	request := provider.Request{Connections: provider.Selection{All: true}, MaxBytes: 64 << 10}
	_, err := served.Fetch(t.Context(), server.Tokens.Pod("team", "a", audience), request)
	require.ErrorIs(t, err, provider.ErrTooLarge)
	require.ErrorContains(t, err, "it is more than there is memory for; name those that are needed")
}

// issued gives the pods of the contract's world tokens that the server knows, but to the stranger.
type issued struct {
	tokens   *Tokens
	audience string

	mu    sync.Mutex
	known map[string]map[string]secret.Text
}

func (i *issued) pod(pod provider.Identity) provider.Identity {
	switch {
	case pod.Token.Len() == 0:
		return pod
	case pod.ServiceAccount == "stranger":
		pod.CloudTokens = map[string]secret.Text{i.audience: providertest.Token(pod.Namespace, pod.ServiceAccount, "n33dle")}
		return pod
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known == nil {
		i.known = map[string]map[string]secret.Text{}
	}
	if i.known[pod.PodUID] == nil {
		i.known[pod.PodUID] = i.tokens.Pod(pod.Namespace, pod.ServiceAccount, i.audience).CloudTokens
	}
	pod.CloudTokens = i.known[pod.PodUID]
	return pod
}

func undotted(id string) string { return strings.ReplaceAll(id, ".", "-") }

const dotted = "lake.eu-west"

// asked is the request with ids that every store has.
func asked(request provider.Request) provider.Request {
	request.Connections.Names = slices.Clone(request.Connections.Names)
	for i, id := range request.Connections.Names {
		request.Connections.Names[i] = undotted(id)
	}
	return request
}

func told(entries []entry.Entry) []entry.Entry {
	made := slices.Clone(entries)
	for i := range made {
		if made[i].ID == undotted(dotted) {
			made[i].ID = dotted
			if made[i].State == entry.Delivered {
				made[i].Connection.ID = dotted
			}
		}
	}
	return made
}

// dotless has the contract's ids, and the store those that every store has.
type dotless struct{ *store.Provider }

// Fetch implements provider.Provider.
func (d dotless) Fetch(ctx context.Context, pod provider.Identity, request provider.Request) ([]entry.Entry, error) {
	entries, err := d.Provider.Fetch(ctx, pod, asked(request))
	return told(entries), err
}

// FetchGroup implements provider.GroupFetcher.
func (d dotless) FetchGroup(ctx context.Context, pods []provider.Identity, request provider.Request) []provider.Outcome {
	outcomes := d.Provider.FetchGroup(ctx, pods, asked(request))
	for n := range outcomes {
		outcomes[n].Entries = told(outcomes[n].Entries)
	}
	return outcomes
}

// CheckKwargs opens a store by each of the kwargs, and holds what is said of them against the message; empty for none.
func CheckKwargs(t *testing.T, messages map[string]string, open func(kwargs string) error) {
	t.Helper()
	for kwargs, message := range messages {
		err := open(kwargs)
		if message == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, message)
		assert.NotContains(t, err.Error(), Needle)
	}
}
