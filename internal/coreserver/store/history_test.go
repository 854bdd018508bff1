package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/rule"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/pkg/entry"
	"github.com/leoflow/secrets-csi/pkg/secret"
)

func variable(key string) entry.Name { return entry.Name{Kind: entry.Variable, ID: key} }

// state is a snapshot of variables, given as key, value, key, value.
func state(t testing.TB, rules rule.Set, pairs ...string) *Snapshot {
	var entries []*Entry
	for i := 0; i < len(pairs); i += 2 {
		e := Entry{Name: variable(pairs[i]), value: secret.New(pairs[i+1])}
		e.Version = newVersioner(t, "shared").version(e)
		entries = append(entries, &e)
	}
	return newSnapshot(entries, rules, nil, newVersioner(t, "shared"))
}

func TestRevisionNamesTheState(t *testing.T) {
	readers := rule.NewSet(rule.File{Rules: []rule.Rule{{Tenants: rule.Patterns{"acme"}, DAGs: rule.Patterns{"*"}, Variables: rule.Patterns{"a"}}}}, nil)
	others := rule.NewSet(rule.File{Rules: []rule.Rule{{Tenants: rule.Patterns{"acme"}, DAGs: rule.Patterns{"*"}, Variables: rule.Patterns{"z"}}}}, nil)
	first := state(t, rule.Set{}, "a", "1", "b", "2")

	assert.Equal(t, first.Revision, state(t, rule.Set{}, "b", "2", "a", "1").Revision, "order is nothing")
	assert.Equal(t, first.Revision, state(t, others, "a", "1", "b", "2").Revision, "rules for what is not there are nothing")
	for name, other := range map[string]*Snapshot{
		"another value": state(t, rule.Set{}, "a", "1", "b", "3"),
		"one gone":      state(t, rule.Set{}, "a", "1"),
		"one more":      state(t, rule.Set{}, "a", "1", "b", "2", "c", "3"),
		"another name":  state(t, rule.Set{}, "a", "1", "B", "2"),
		"other readers": state(t, readers, "a", "1", "b", "2"),
	} {
		assert.NotEqual(t, first.Revision, other.Revision, name)
	}
}

func TestSinceTellsWhatChanged(t *testing.T) {
	first := state(t, rule.Set{}, "a", "1", "b", "1", "c", "1")
	history := newHistory(first)
	start := history.Locate(first.Revision)

	update, moved := history.Since(start), history.Moved()
	assert.Empty(t, update.Changed)
	assert.False(t, update.Resync)

	require.True(t, history.Publish(state(t, rule.Set{}, "a", "1", "b", "2", "c", "1")))
	testwait.Closed(t, moved)
	last := state(t, rule.Set{}, "a", "1", "b", "3", "d", "1")
	require.True(t, history.Publish(last))

	update, moved = history.Since(start), history.Moved()
	assert.Equal(t, []entry.Name{variable("b"), variable("c"), variable("d")}, update.Names(), "each once, however often it changed")
	assert.Same(t, last, update.Snapshot)
	again := history.Since(update.Position)
	assert.Empty(t, again.Changed)

	require.False(t, history.Publish(state(t, rule.Set{}, "a", "1", "b", "3", "d", "1")))
	select {
	case <-moved:
		t.Fatal("woken for nothing")
	default:
	}
}

func TestSinceOfTheUnknownIsAResync(t *testing.T) {
	history := newHistory(state(t, rule.Set{}, "a", "1"))
	for _, revision := range []string{"", "of another life"} {
		update := history.Since(history.Locate(revision))
		assert.True(t, update.Resync)
		assert.Empty(t, update.Changed)
	}
}

func TestAStateThatReturnsIsLocatedWhereItReturned(t *testing.T) {
	first, second := state(t, rule.Set{}, "a", "1"), state(t, rule.Set{}, "a", "2")
	history := newHistory(first)
	history.Publish(second)
	history.Publish(state(t, rule.Set{}, "a", "1"))
	update := history.Since(history.Locate(first.Revision))
	assert.Empty(t, update.Changed)
	update = history.Since(history.Locate(second.Revision))
	assert.Equal(t, []entry.Name{variable("a")}, update.Names())
}

// Rules that concern nobody's entries are no news to watchers, and count all the same.
func TestPublishTakesRulesThatNoWatcherSees(t *testing.T) {
	history := newHistory(state(t, rule.Set{}, "a", "1"))
	next := state(t, rule.NewSet(rule.File{Rules: []rule.Rule{{Variables: rule.Patterns{"z"}}}}, nil), "a", "1")
	assert.False(t, history.Publish(next))
	assert.Same(t, next, history.Current())
}

func TestAChangeOfRulesNamesWhatItConcerns(t *testing.T) {
	let := func(variables ...rule.Pattern) rule.Set {
		return rule.NewSet(rule.File{Rules: []rule.Rule{{Tenants: rule.Patterns{"acme"}, DAGs: rule.Patterns{"*"}, Variables: variables}}}, nil)
	}
	first := state(t, let("a", "b"), "a", "1", "b", "1", "c", "1")
	history := newHistory(first)
	next := state(t, let("b", "c"), "a", "1", "b", "1", "c", "1")
	history.Publish(next)
	update := history.Since(history.Locate(first.Revision))
	assert.Equal(t, []entry.Name{variable("a"), variable("c")}, update.Names())
	before, _ := first.Lookup("", variable("a"))
	after, _ := next.Lookup("", variable("a"))
	assert.Equal(t, before.Version, after.Version, "the entry itself is the same")
}

func TestHistoryIsBounded(t *testing.T) {
	const bound = 4
	first := state(t, rule.Set{}, "a", "first")
	history := newHistory(first)
	history.maxSteps = bound
	start := history.Locate(first.Revision)
	for i := range 3 * bound {
		history.Publish(state(t, rule.Set{}, "a", fmt.Sprint(i)))
	}
	assert.Len(t, history.recent, bound)
	assert.Equal(t, bound, history.names)
	update := history.Since(start)
	assert.True(t, update.Resync, "who fell behind is told everything")

	update = history.Since(history.position - bound)
	assert.False(t, update.Resync, "who is as old as the memory is not")
	assert.Equal(t, []entry.Name{variable("a")}, update.Names())
	update = history.Since(history.position - bound - 1)
	assert.True(t, update.Resync)
}

func TestHistoryIsBoundedByNames(t *testing.T) {
	both := func(value string) *Snapshot { return state(t, rule.Set{}, "a", value, "b", value) }
	history := newHistory(both("0"))
	history.maxNames = 3
	for i := range 3 {
		history.Publish(both(fmt.Sprint(i + 1)))
	}
	assert.Equal(t, 2, history.names)
	assert.Len(t, history.recent, 1)

	history.maxNames = 1
	history.Publish(both("last"))
	update := history.Since(history.position - 1)
	assert.Len(t, update.Changed, 2, "the last step is told, whatever its size")
}
