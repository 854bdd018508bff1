package startuptaint

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// node answers from lists, whose last answer stays.
type node struct {
	has, remove      []error
	ready, hasDriver []bool
	calls            []string
}

func next[T any](answers *[]T) T {
	answer := (*answers)[0]
	if len(*answers) > 1 {
		*answers = (*answers)[1:]
	}
	return answer
}

func (n *node) HasDriver(_ context.Context, node, driver string) (bool, error) {
	n.calls = append(n.calls, "has "+node+" "+driver)
	return next(&n.hasDriver), next(&n.has)
}

func (n *node) RemoveTaint(_ context.Context, node, key string) (bool, error) {
	n.calls = append(n.calls, "remove "+node+" "+key)
	err := next(&n.remove)
	return err == nil, err
}

// run returns how long it took, and what was logged.
func run(ctx context.Context, n *node) (took time.Duration, log string) {
	var out bytes.Buffer
	began := time.Now()
	Remover{
		Nodes: n, Node: "a", Driver: "d", Ready: func(context.Context) bool { return next(&n.ready) },
		Log: slog.New(slog.NewTextHandler(&out, nil)),
	}.Run(ctx)
	return time.Since(began), out.String()
}

func TestTheTaintGoesOnceTheDriverIsRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{ready: []bool{false, false, true}, hasDriver: []bool{false, true}, has: []error{nil}, remove: []error{nil}}
		took, log := run(t.Context(), n)
		assert.Equal(t, 3*time.Second, took)
		assert.Equal(t, []string{"has a d", "has a d", "remove a " + Key}, n.calls, "before it is ready nobody is asked")
		assert.Contains(t, log, "took the startup taint off the node")
	})
}

func TestAnAPIServerThatRefusesIsAskedEverMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		n := &node{ready: []bool{true}, hasDriver: []bool{true}, has: []error{nil}, remove: []error{refused}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		took, log := run(ctx, n)
		assert.Equal(t, 10*time.Minute, took)
		assert.Less(t, len(n.calls), 2*26)
		assert.Equal(t, 1, strings.Count(log, "cannot take the startup taint off"), "told once")
	})
}

func TestWhoeverIsStoppedStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n := &node{ready: []bool{true}, hasDriver: []bool{false}, has: []error{context.Canceled}, remove: []error{nil}}
		took, log := run(ctx, n)
		assert.Zero(t, took)
		assert.Empty(t, log)
	})
}
