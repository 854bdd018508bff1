package providertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/provider"
)

// watch has a pod fetch a variable and changes it until the watcher says so: when a Watch has begun
// is not for its caller to know.
func watch(t *testing.T, s suite) {
	watcher, ok := s.source.Provider.(provider.Watcher)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes := make(chan provider.Change, 64)
	ended := make(chan error, 1)
	go func() { ended <- watcher.Watch(ctx, func(change provider.Change) { offer(changes, change) }) }()

	_, err := s.fetch(ctx, s.world.Reader, provider.Request{Variables: provider.Selection{Names: []string{"env"}}})
	require.NoError(t, err)
	if s.source.SetVariable != nil && !s.changeIsTold(t, changes, ended) {
		return
	}
	cancel()
	err = receive(t, ended)
	s.seen.add(err)
	assert.True(t, errors.Is(err, context.Canceled) || errors.Is(err, provider.ErrWatchUnsupported), "got %v", err)
}

// changeIsTold is false where there is no watching.
func (s suite) changeIsTold(t *testing.T, changes <-chan provider.Change, ended <-chan error) bool {
	name := entry.Name{Kind: entry.Variable, ID: "env"}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(patience)
	value := "watched"
	for {
		select {
		case err := <-ended:
			s.seen.add(err)
			require.ErrorIs(t, err, provider.ErrWatchUnsupported)
			return false
		case change := <-changes:
			if slices.Contains(change.Entries, name) {
				return true
			}
			assert.True(t, change.All, "another entry was told of: %v", change.Entries)
		case <-again.C:
			value += "+"
			s.source.SetVariable("env", value)
		case <-deadline:
			require.FailNow(t, "no change was told")
		}
	}
}

// offer never blocks: notify must not.
func offer(changes chan<- provider.Change, change provider.Change) {
	select {
	case changes <- change:
	default:
	}
}

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	var got T
	select {
	case got = <-from:
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
	}
	return got
}
