package core_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	secretsv1 "github.com/leoflow/secrets-csi/api/leoflow/secrets/v1"
	"github.com/leoflow/secrets-csi/internal/testwait"
)

// counted is an Observer that counts.
type counted struct {
	mu                 sync.Mutex
	codes              map[string]int
	heard, interrupted int
}

func (c *counted) count(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func (c *counted) Called(code string) { c.count(func() { c.codes[code]++ }) }
func (c *counted) WatchHeard()        { c.count(func() { c.heard++ }) }
func (c *counted) WatchInterrupted()  { c.count(func() { c.interrupted++ }) }

// Each code becomes a series of a metric, and core may answer with any number.
func TestCoreCannotMakeUpCodes(t *testing.T) {
	var s server
	config, observer := s.start(t), &counted{codes: map[string]int{}}
	config.Observer = observer
	client := newClient(t, config)
	for code := range codes.Code(100) {
		s.set(func() {
			s.fetch = func(context.Context, *secretsv1.FetchRequest) (*secretsv1.FetchResponse, error) {
				return nil, status.Error(codes.PermissionDenied+100*code, "made up")
			}
		})
		_, err := client.Fetch(t.Context(), pod(), oneVariable)
		require.Error(t, err)
	}
	assert.Equal(t, map[string]int{"PermissionDenied": 1, "Unknown": 99}, observer.codes)
}

func TestTheWatchIsObserved(t *testing.T) {
	s := newScript(
		turn{[]*secretsv1.WatchResponse{resync("1"), change("1")}, errCut},
		turn{[]*secretsv1.WatchResponse{change("2", variable("a", "2"))}, nil},
	)
	config, observer := s.start(t), &counted{codes: map[string]int{}}
	config.Observer = observer
	changes, _ := watching(t, newClient(t, config))
	testwait.Receive(t, changes)
	assert.Equal(t, entries("a"), testwait.Receive(t, changes))
	observer.count(func() {
		assert.Equal(t, 3, observer.heard)
		assert.Equal(t, 1, observer.interrupted)
	})
}
