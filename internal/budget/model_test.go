package budget

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/testlong"
)

// model does to a budget what deliveries do to it, in any order, and knows what it must show.
type model struct {
	*Budget
	t *testing.T
	*rand.Rand
	// held are what volumes hold, turns what deliveries have.
	held  map[string]int64
	turns map[*Turn]int64
}

func (m *model) namespace() string { return fmt.Sprint("tenant-", m.IntN(4)) }
func (m *model) bytes() int64      { return m.Int64N(40*mebibyte) + 1 }

// check holds the budget's sums against those of its parts.
func (m *model) check(did string) {
	var volumes, work int64
	for _, bytes := range m.held {
		volumes += bytes
	}
	for _, bytes := range m.turns {
		work += bytes
	}
	state := m.State()
	require.Equal(m.t, volumes, state.HeldVolumes, did)
	require.Equal(m.t, work, state.HeldWork, did)
	require.LessOrEqual(m.t, work, state.Work, did)
	byNamespace := int64(0)
	for _, part := range state.ByNamespace {
		require.Positive(m.t, part.Bytes, did)
		byNamespace += part.Bytes
	}
	require.Equal(m.t, volumes, byNamespace, did)
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Len(m.t, m.queue.namespaces, len(m.queue.waiting), did)
	for _, waiting := range m.queue.waiting {
		require.NotEmpty(m.t, waiting, did)
	}
}

// step does one thing, and says what.
func (m *model) step() string {
	target := fmt.Sprint("/", m.IntN(12))
	switch m.IntN(9) {
	case 0, 1:
		need, isNew := m.bytes(), m.IntN(2) == 0
		granted, err := m.Take(target, m.namespace(), need, m.held[target], isNew)
		require.LessOrEqual(m.t, granted, need)
		if err == nil && isNew {
			require.Equal(m.t, need, granted)
			require.LessOrEqual(m.t, m.State().HeldVolumes, m.State().Volumes)
		}
		if m.held[target] = m.Holds(target); m.held[target] == 0 {
			delete(m.held, target)
		}
		return "take"
	case 2:
		m.held[target] = m.bytes()
		m.Hold(target, m.held[target])
		return "hold"
	case 3:
		m.Hold(target, 0)
		delete(m.held, target)
		return "end"
	case 4:
		m.held[target] = m.bytes()
		m.Recall(target, m.held[target])
		return "recall"
	case 5:
		m.Claim(target, m.namespace())
		return "claim"
	case 6:
		m.enter()
		return "enter"
	case 7:
		for turn := range m.turns {
			m.turns[turn] = turn.Resize(m.bytes())
			break
		}
		return "resize"
	default:
		for turn := range m.turns {
			turn.Leave()
			delete(m.turns, turn)
			if m.IntN(2) == 0 {
				turn.Leave() // once too often
			}
			break
		}
		return "leave"
	}
}

// enter waits, and may give up by itself or by its caller.
func (m *model) enter() {
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Duration(m.IntN(3))*time.Second)
	defer cancel()
	turn, err := m.Enter(ctx, time.Second, m.namespace(), m.bytes())
	if err == nil {
		m.turns[turn] = turn.bytes
	}
}

// TestAfterAnythingNothingIsLeft does things at random, one after the other.
func TestAfterAnythingNothingIsLeft(t *testing.T) {
	for seed := range uint64(testlong.Count(20, 500)) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{New(chartLimit, nil), t, rand.New(rand.NewPCG(seed, 13)), map[string]int64{}, map[*Turn]int64{}}
			for range 500 {
				m.check(fmt.Sprintf("seed %d: %s", seed, m.step()))
			}
			for turn := range m.turns {
				turn.Leave()
			}
			for target := range m.held {
				m.Hold(target, 0)
			}
			m.isEmpty()
		})
	}
}

func (m *model) isEmpty() {
	state := m.State()
	assert.Zero(m.t, state.HeldVolumes)
	assert.Zero(m.t, state.HeldWork)
	assert.Empty(m.t, state.ByNamespace)
	assert.Empty(m.t, m.holdings)
	assert.Empty(m.t, m.work.byNamespace)
	assert.Empty(m.t, m.queue.waiting)
	assert.Empty(m.t, m.queue.namespaces)
}

// TestAfterACrowdNothingIsLeft has deliveries at once that wait, give up, are cancelled, end in a
// panic, grow, shrink and leave. None waits for ever.
func TestAfterACrowdNothingIsLeft(t *testing.T) {
	for seed := range uint64(testlong.Count(20, 500)) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{Budget: New(chartLimit, nil), t: t}
			for i := range 60 {
				own := rand.New(rand.NewPCG(seed, uint64(i)))
				go func() {
					for range 10 {
						m.deliver(own)
					}
				}()
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			m.isEmpty()
		})
	}
}

// deliver is one delivery of one volume.
func (m *model) deliver(r *rand.Rand) {
	defer func() { _ = recover() }()
	namespace, target := fmt.Sprint("tenant-", r.IntN(4)), fmt.Sprint("/", r.Uint64())
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Duration(r.IntN(5000)+1)*time.Millisecond)
	defer cancel()
	turn, err := m.Enter(ctx, 3*time.Second, namespace, r.Int64N(100*mebibyte))
	if err != nil {
		return
	}
	defer turn.Leave()
	time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
	turn.Resize(r.Int64N(100 * mebibyte))
	defer m.Hold(target, 0)
	granted, err := m.Take(target, namespace, r.Int64N(16*mebibyte)+1, 0, true)
	if err != nil {
		return
	}
	if r.IntN(3) == 0 {
		panic("in the middle of it")
	}
	m.Hold(target, granted+r.Int64N(mebibyte))
	time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
}
