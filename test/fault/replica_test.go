package fault

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/internal/coreserver/auth"
	"github.com/leoflow/secrets-csi/internal/testgolden"
	"github.com/leoflow/secrets-csi/internal/testport"
	"github.com/leoflow/secrets-csi/pkg/mount"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	startsEach = 20 * time.Millisecond // 50 a second
	replicaOff = 2 * time.Second       // from its kill until it is started again
)

// replica is one of the cores.
type replica struct {
	address, audit string
	process        *stack.Process
	killed         []time.Time
}

// TestReplicasAreKilledUnderStarts kills one of two cores after the other while pods start.
func TestReplicasAreKilledUnderStarts(t *testing.T) {
	dir := t.TempDir()
	replicas := []*replica{{audit: filepath.Join(dir, "0.jsonl")}, {audit: filepath.Join(dir, "1.jsonl")}}
	var addresses []string
	for _, r := range replicas {
		var err error
		r.address, err = testport.Free()
		require.NoError(t, err)
		addresses = append(addresses, r.address)
	}
	s, err := stack.Start(context.Background(), stack.Options{
		Bin: binaries(t), Connections: connections(1), Variables: "{}", Rules: allowAll, CallAddress: startBalancer(t, addresses...).address(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	for _, r := range replicas {
		r.start(t, s)
	}
	tokens, err := s.Tokens(int(*under/startsEach)+2, auth.Caller{Tenant: "acme", DAG: "daily"}, 2*time.Hour)
	require.NoError(t, err)

	// The driver was there before the replicas.
	first := pod("first", tokens[len(tokens)-1])
	require.Eventually(t, func() bool { return s.Kubelet.Publish(t.Context(), first) == nil }, time.Minute, 10*time.Millisecond)

	ctx, stop := context.WithTimeout(t.Context(), *under)
	defer stop()
	var killing sync.WaitGroup
	killing.Go(func() { killInTurn(ctx, t, s, replicas) })
	made := startMany(ctx, t, s, tokens)
	killing.Wait()
	for _, r := range replicas {
		require.NoError(t, r.process.Stop())
	}
	for _, failure := range made.failed[:min(1, len(made.failed))] {
		assert.NoError(t, failure)
	}
	found := readAudit(t, replicas)
	assert.GreaterOrEqual(t, len(made.took), int(*under/startsEach)-2, "starts that were due and never begun")
	t.Logf("starts began at most %v late", time.Duration(made.behind)*startsEach)
	assert.Empty(t, made.failed, "starts that kubelet would have to try again\n%s\n%s", made.moments(), s.NodeOutput())
	assert.Zero(t, found.unrecorded(t, made.started), "pods of whom neither core has recorded what they were given")
	recordReplicas(t, replicas, made, found)
}

func (r *replica) start(t *testing.T, s *stack.Stack) {
	t.Helper()
	var err error
	r.process, err = s.StartReplica(context.Background(), r.address, "--audit-log="+r.audit)
	require.NoError(t, err)
}

// killInTurn kills a replica each time, and has it back before the next.
func killInTurn(ctx context.Context, t *testing.T, s *stack.Stack, replicas []*replica) {
	wait := func(length time.Duration) bool {
		select {
		case <-time.After(length):
			return true
		case <-ctx.Done():
			return false
		}
	}
	for i := 0; wait(*every - replicaOff); i++ {
		r := replicas[i%len(replicas)]
		r.killed = append(r.killed, time.Now())
		r.process.Kill()
		wait(replicaOff)
		r.start(t, s)
	}
}

// manyStarts are what became of pods that started side by side.
type manyStarts struct {
	mu      sync.Mutex
	took    []time.Duration
	started []int // the tries of their tokens
	failed  []error
	at      []time.Time // of failures
	behind  int         // the most starts that were due and not begun
}

// startMany begins a pod's start every startsEach, each with a token of its own, whatever becomes of those
// before, and ends it again. A tick that comes late, as on a machine that is busy, makes none fewer: what is
// due begins at once.
func startMany(ctx context.Context, t *testing.T, s *stack.Stack, tokens []string) *manyStarts {
	t.Helper()
	made := &manyStarts{}
	ticks := time.NewTicker(startsEach)
	defer ticks.Stop()
	var all sync.WaitGroup
	began, begun, last := time.Now(), 0, len(tokens)-1
	for isOver := false; !isOver; {
		isOver = ctx.Err() != nil
		due := min(last, int(time.Since(began)/startsEach))
		made.behind = max(made.behind, due-begun)
		for ; begun < due; begun++ {
			number := begun
			all.Go(func() { made.startOne(context.WithoutCancel(ctx), t, s, number, tokens[number]) })
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
		}
	}
	all.Wait()
	return made
}

func (m *manyStarts) startOne(ctx context.Context, t *testing.T, s *stack.Stack, number int, token string) {
	p := pod(fmt.Sprint("start-", number), token)
	began := time.Now()
	err := s.Kubelet.Publish(ctx, p)
	if err == nil {
		err = showsAll(s.Kubelet.Target(p))
	}
	m.add(number+1, began, err)
	assert.NoError(t, s.Kubelet.Unpublish(ctx, p))
}

func showsAll(target string) error {
	shown, err := mount.Current(target)
	if err == nil && len(shown.Manifest.Entries) != entriesPerPod {
		err = fmt.Errorf("the volume has %d entries", len(shown.Manifest.Entries))
	}
	return err
}

func (m *manyStarts) add(try int, began time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = append(m.took, time.Since(began))
	if err != nil {
		m.failed, m.at = append(m.failed, err), append(m.at, began)
		return
	}
	m.started = append(m.started, try)
}

// moments are when starts failed, for whoever looks for the reason.
func (m *manyStarts) moments() string {
	var out strings.Builder
	for i, err := range m.failed {
		fmt.Fprintln(&out, m.at[i].Format("05.000"), err)
	}
	return out.String()
}

func (m *manyStarts) quantile(of float64) time.Duration {
	slices.Sort(m.took)
	return m.took[int(of*float64(len(m.took)-1))]
}

// recordReplicas puts the row into the document, or makes sure that there is one like it.
func recordReplicas(t *testing.T, replicas []*replica, made *manyStarts, found audited) {
	t.Helper()
	kills := 0
	for _, r := range replicas {
		kills += len(r.killed)
	}
	require.Positive(t, kills)
	line := fmt.Sprintf("| two, one of them killed (SIGKILL) | every %s, for %s | %d | %d | %d | %d | %d | %s | %s |", *every, *under, len(made.started), len(made.failed),
		0, kills, len(found.cut), short(made.quantile(0.5)), short(made.quantile(0.99)))
	t.Log(line)
	testgolden.Row(t, document, "<!-- end of replicas -->", line, "make fault")
}
