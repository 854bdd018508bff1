package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/leoflow/secrets-csi/internal/testlong"
	"github.com/leoflow/secrets-csi/internal/testwait"
	"github.com/leoflow/secrets-csi/test/stack"
)

const (
	// afterLastKill is how long a start may take after the last fetcher was killed.
	afterLastKill = 5 * time.Second
	// atOnce is how long an end takes at most whatever the fetcher does, on a machine that has much else to do:
	// whoever waits for a fetcher waits for half a minute.
	atOnce = 5 * time.Second
)

func warehouseOf(mark string) string {
	return fmt.Sprintf(`{"warehouse": "postgres://etl:%s@db/base"}`, mark)
}

func asking(name, token string) stack.Pod {
	return pod(name, token, map[string]string{"connections": "warehouse"})
}

func warehouseIn(t *testing.T, s *stack.Stack, p stack.Pod) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.Kubelet.Target(p), "connections", "warehouse"))
	require.NoError(t, err)
	return string(content)
}

// showsIn waits until the pod's file has the mark.
func showsIn(t *testing.T, s *stack.Stack, p stack.Pod, mark string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(warehouseIn(t, s, p), ":"+mark+"@") }, testwait.Limit, 5*time.Millisecond, "%s\n%s", mark, s.NodeOutput())
}

// endAtOnce ends a volume, which needs nothing of the fetcher.
func endAtOnce(t *testing.T, s *stack.Stack, p stack.Pod) {
	t.Helper()
	began := time.Now()
	require.NoError(t, s.Kubelet.Unpublish(t.Context(), p))
	assert.Less(t, time.Since(began), atOnce)
}

// A fetcher that does not move holds up who waits for an answer, and nobody else.
func TestAFetcherThatIsFrozenHoldsUpNoEndAndLosesNothing(t *testing.T) {
	s := start(t, stack.Options{Connections: warehouseOf("first"), Variables: "{}", Rules: allowAll})
	live, ends := asking("live", token(t, s)), asking("ends", token(t, s))
	require.NoError(t, s.Kubelet.Publish(t.Context(), live))
	require.NoError(t, s.Kubelet.Publish(t.Context(), ends))
	require.NoError(t, s.Fetcher.Freeze(testwait.Context(t)))
	thaw := sync.OnceFunc(func() { assert.NoError(t, s.Fetcher.Thaw()) })
	defer thaw()
	endAtOnce(t, s, ends)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err := s.Kubelet.Publish(ctx, asking("waits", token(t, s)))
	assert.Contains(t, []codes.Code{codes.DeadlineExceeded, codes.Unavailable}, status.Code(err))
	require.NoError(t, s.Kubelet.Publish(t.Context(), live), "a republish")
	assert.Equal(t, "postgres://etl:first@db/base", warehouseIn(t, s, live))
	require.NoError(t, s.WriteConnections(warehouseOf("second")))
	thaw()
	require.NoError(t, s.Kubelet.Publish(t.Context(), asking("later", token(t, s))))
	showsIn(t, s, live, "second")
}

// One that is gone is waited for by who starts, and all goes on when there is another.
func TestAFetcherThatIsKilledIsWaitedFor(t *testing.T) {
	s := start(t, stack.Options{Connections: warehouseOf("first"), Variables: "{}", Rules: allowAll})
	live, ends := asking("live", token(t, s)), asking("ends", token(t, s))
	require.NoError(t, s.Kubelet.Publish(t.Context(), live))
	require.NoError(t, s.Kubelet.Publish(t.Context(), ends))
	s.Fetcher.Kill()
	endAtOnce(t, s, ends)
	require.NoError(t, s.Kubelet.Publish(t.Context(), live), "a republish")
	assert.Equal(t, "postgres://etl:first@db/base", warehouseIn(t, s, live))
	require.NoError(t, s.WriteConnections(warehouseOf("second")))
	started := make(chan error, 1)
	waiting := asking("waits", token(t, s))
	go func() { started <- s.Kubelet.Publish(testwait.Context(t), waiting) }()
	require.NoError(t, s.StartFetcher(t.Context()))
	require.NoError(t, testwait.Receive(t, started))
	showsIn(t, s, waiting, "second")
	showsIn(t, s, live, "second")
}

// Killed every second, under starts, rotations and ends.
func TestAFetcherThatIsKilledEverySecondFailsNoEndAndNoStart(t *testing.T) {
	s := start(t, stack.Options{
		Connections: warehouseOf("mark-0"), Variables: "{}", Rules: allowAll,
		CoreArgs: []string{"--caller-audit-rate=1000000000"}, // in five minutes one caller starts more pods than its share records
	})
	live := asking("live", token(t, s))
	require.NoError(t, s.Kubelet.Publish(t.Context(), live))
	ended := make(chan struct{})
	var starting sync.WaitGroup
	var mu sync.Mutex
	starts, latest := 0, time.Time{}
	for i := range 4 {
		shown := token(t, s)
		starting.Go(func() {
			for round := 0; ; round++ {
				p := asking(fmt.Sprint("pod-", i, "-", round), shown)
				for err := s.Kubelet.Publish(t.Context(), p); err != nil; err = s.Kubelet.Publish(t.Context(), p) { // as kubelet
					if !assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err) {
						return
					}
				}
				mu.Lock()
				starts, latest = starts+1, time.Now()
				mu.Unlock()
				assert.Regexp(t, `^postgres://etl:mark-\d+@db/base$`, warehouseIn(t, s, p))
				endAtOnce(t, s, p)
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	seconds := testlong.Seconds(t, 8)
	for i := 1; i <= seconds; i++ {
		<-ticks.C
		s.Fetcher.Kill()
		require.NoError(t, s.StartFetcher(t.Context()))
		require.NoError(t, s.WriteConnections(warehouseOf(fmt.Sprint("mark-", i))))
	}
	last := time.Now()
	close(ended)
	starting.Wait()
	assert.Less(t, latest.Sub(last), afterLastKill)
	assert.Greater(t, starts, seconds, "pods that were started")
	showsIn(t, s, live, fmt.Sprint("mark-", seconds))
	assert.NotContains(t, s.Driver.Output(), `"level":"ERROR"`)
}

// The directory in which the two meet may be emptied under both.
func TestTheSocketOfTheTwoIsMadeAnew(t *testing.T) {
	s := start(t, stack.Options{Connections: warehouseOf("first"), Variables: "{}", Rules: allowAll})
	socket := filepath.Join(s.Dir, "fetcher.sock")
	require.NoError(t, os.Remove(socket))
	require.NoError(t, s.Kubelet.Publish(t.Context(), asking("first", token(t, s))), "what is connected goes on")
	s.Fetcher.Kill()
	_, err := s.Driver.WaitFor(testwait.Context(t), "made a lost socket anew")
	require.NoError(t, err)
	require.NoError(t, s.StartFetcher(t.Context()))
	require.NoError(t, s.Kubelet.Publish(t.Context(), asking("second", token(t, s))))
}

// The driver's namespace has no interface that is up, whatever the node has.
func TestTheDriverThatRunsHasNoNetwork(t *testing.T) {
	s := start(t, stack.Options{Connections: warehouseOf("first"), Variables: "{}", Rules: allowAll})
	own, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	of := func(p *stack.Process) string {
		found, err := os.Readlink("/proc/" + p.ID() + "/ns/net")
		require.NoError(t, err)
		return found
	}
	assert.NotEqual(t, own, of(s.Driver))
	assert.Equal(t, own, of(s.Fetcher))
	routes, err := os.ReadFile("/proc/" + s.Driver.ID() + "/net/route")
	require.NoError(t, err)
	assert.LessOrEqual(t, strings.Count(string(routes), "\n"), 1, "only the headings")
	require.NoError(t, s.Fetcher.Signal(syscall.Signal(0)))
}
