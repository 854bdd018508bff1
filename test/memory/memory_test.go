package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	evil, bank = "evil", "bank"
	// patience is what a small pod of another namespace waits at most, as the design says.
	patience = 2 * time.Second
	// attackLasts is how long a crowd may take to be served and refused.
	attackLasts = 2 * time.Minute
	// afterLastKill is how long a start may take after the last fetcher was killed, and an end at any time.
	afterLastKill = 5 * time.Second
)

// node has a driver in a control group, and a fetcher in another.
type node struct {
	*stack.Stack
	group, fetcher group
	token          string
}

// newNode has a core with a variable of each size, by the size's name.
func newNode(t *testing.T) *node {
	t.Helper()
	return newNodeOf(t, chartLimit)
}

// newNodeOf has a fetcher of so much memory.
func newNodeOf(t *testing.T, fetcherLimit int) *node {
	t.Helper()
	n := &node{group: newGroup(t, "driver", chartLimit), fetcher: newGroup(t, "fetcher", fetcherLimit)}
	variables := map[string]string{"small": "n33dle"}
	for name, size := range map[string]int{"400K": 400 << 10, "1M": 1 << 20, "7M": 7 << 20} {
		variables[name] = strings.Repeat("x", size)
	}
	content, err := json.Marshal(variables)
	require.NoError(t, err)
	// The stack outlives the test's context, which ends before the clean-up.
	n.Stack, err = stack.Start(context.Background(), stack.Options{
		Bin: within(t, binaries(t), map[string]group{"driver": n.group, "fetcher": n.fetcher}), Connections: "{}", Variables: string(content),
		Rules: "rules: [{tenants: ['*'], dags: ['*'], connections: ['*'], variables: ['*']}]\n",
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, n.Close()) })
	n.token, err = n.Token(t.Context(), "--tenant=acme", "--dag=daily")
	require.NoError(t, err)
	return n
}

func (n *node) pod(namespace, name, variable string) stack.Pod {
	return stack.Pod{
		Name: name, Namespace: namespace, ServiceAccount: "etl", UID: namespace + "-" + name, Token: n.token,
		Attributes: map[string]string{"variables": variable},
	}
}

// crowd is pods of one namespace that kubelet starts at once.
func (n *node) crowd(count int, variables ...string) (pods []stack.Pod) {
	for _, variable := range variables {
		for i := range count {
			pods = append(pods, n.pod(evil, fmt.Sprintf("%s-%d", strings.ToLower(variable), i), variable))
		}
	}
	return pods
}

// publish starts all pods at once, and counts how that ended by gRPC's code.
func (n *node) publish(t *testing.T, pods []stack.Pod) func() map[codes.Code]int {
	t.Helper()
	ended, mu := map[codes.Code]int{}, sync.Mutex{}
	var calls sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), attackLasts)
	for _, pod := range pods {
		calls.Go(func() {
			err := n.Kubelet.Publish(ctx, pod)
			mu.Lock()
			defer mu.Unlock()
			ended[status.Code(err)]++
			if status.Code(err) == codes.ResourceExhausted {
				assert.Regexp(t, "namespace "+evil+"|this node accepts", status.Convert(err).Message(), "with its own figures")
			}
		})
	}
	return func() map[codes.Code]int { calls.Wait(); cancel(); return ended }
}

// fill starts pods of the attacker, each as large as it gets, until not even the smallest is let in.
func (n *node) fill(t *testing.T) {
	t.Helper()
	for _, variable := range []string{"7M", "1M", "400K", "small"} {
		for i := 0; ; i++ {
			require.Less(t, i, 100, "nothing is refused")
			err := n.Kubelet.Publish(t.Context(), n.pod(evil, fmt.Sprint("fill-", strings.ToLower(variable), "-", i), variable))
			if err != nil {
				require.Equal(t, codes.ResourceExhausted, status.Code(err), err)
				break
			}
		}
	}
}

// honest starts and ends small pods of another namespace until stop is called, which returns how
// long the slowest start took, and how many there were.
func (n *node) honest(t *testing.T) (stop func() (slowest time.Duration, count int)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var slowest time.Duration
	count := 0
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; count++ {
			pod := n.pod(bank, fmt.Sprint("honest-", count), "small")
			began := time.Now()
			if !assert.NoError(t, n.Kubelet.Publish(context.Background(), pod)) {
				return
			}
			slowest = max(slowest, time.Since(began))
			assert.NoError(t, n.Kubelet.Unpublish(context.Background(), pod))
		}
	}()
	return func() (time.Duration, int) { cancel(); <-done; return slowest, count }
}

// serve has core serve other variables.
func (n *node) serve(t *testing.T, variables map[string]string) {
	t.Helper()
	content, err := json.Marshal(variables)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(n.Variables+".next", content, 0o600))
	require.NoError(t, os.Rename(n.Variables+".next", n.Variables))
}

// tell holds the group to its limit.
func (n *node) tell(t *testing.T, what string, ended map[codes.Code]int) {
	t.Helper()
	t.Logf("%s: %v; peak %d MiB, now %d MiB, shared %d MiB", what, ended, n.group.peak(t)>>20,
		n.group.number(t, "memory.usage_in_bytes", "")>>20, n.group.number(t, "memory.stat", "shmem")>>20)
	assert.Zero(t, n.group.kills(t), "processes killed for the limit")
	for code := range ended {
		assert.Contains(t, []codes.Code{codes.OK, codes.ResourceExhausted}, code)
	}
}

func TestACrowdOfOneNamespaceKillsNoDriverAndHoldsUpNoOther(t *testing.T) {
	for name, attack := range map[string]struct {
		count     int
		variables []string
	}{
		"4 pods of 7 MiB": {4, []string{"7M"}}, "110 pods of 400 KiB": {110, []string{"400K"}},
		"110 pods of 1 MiB": {110, []string{"1M"}}, "120 pods of all sizes": {30, []string{"small", "400K", "1M", "7M"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			pid := n.Driver.PID()
			stop := n.honest(t)
			ended := n.publish(t, n.crowd(attack.count, attack.variables...))()
			slowest, count := stop()
			n.tell(t, name, ended)
			t.Logf("%d honest starts, the slowest in %v", count, slowest)
			assert.LessOrEqual(t, slowest, patience)
			assert.Positive(t, ended[codes.OK])
			n.fill(t)
			began := time.Now()
			require.NoError(t, n.Kubelet.Publish(t.Context(), n.pod(bank, "last", "small")), "a small pod beside a namespace that has all it gets")
			assert.LessOrEqual(t, time.Since(began), patience)
			assert.Equal(t, pid, n.Driver.PID())
			require.NoError(t, n.Kubelet.UnpublishAll(t.Context()))
		})
	}
}

// A fetcher that has no room for what one tenant has waits for nothing of it, and is not killed for it.
func TestAFetcherOfLittleMemoryServesWhoWantsLittle(t *testing.T) {
	n := newNodeOf(t, 64<<20)
	driver, fetcher := n.Driver.PID(), n.Fetcher.PID()
	stop := n.honest(t)
	ended := map[codes.Code]int{}
	for range 10 {
		for code, times := range n.publish(t, n.crowd(12, "7M", "1M"))() {
			ended[code] += times
		}
	}
	slowest, count := stop()
	t.Logf("%d honest starts, the slowest in %v; of the others: %v", count, slowest, ended)
	assert.Positive(t, count)
	assert.LessOrEqual(t, slowest, patience)
	assert.Zero(t, n.group.kills(t)+n.fetcher.kills(t), "processes killed for the limit")
	assert.False(t, n.Driver.HasEnded() || n.Fetcher.HasEnded())
	assert.Equal(t, []int{driver, fetcher}, []int{n.Driver.PID(), n.Fetcher.PID()})
	require.NoError(t, n.Kubelet.UnpublishAll(t.Context()))
}

// startUntil starts the pod as kubelet does, again and again, until its files are there or, of one that may be
// refused, there is no memory for it.
func (n *node) startUntil(t *testing.T, pod stack.Pod, mayBeRefused bool) (started bool) {
	t.Helper()
	for {
		err := n.Kubelet.Publish(context.Background(), pod)
		switch code := status.Code(err); {
		case code == codes.OK:
			return true
		case code == codes.ResourceExhausted && mayBeRefused:
			return false
		case !assert.Equal(t, codes.Unavailable, code, "%s: %v", pod.Name, err):
			return false
		}
	}
}

// A fetcher of little memory is killed every second, under small pods and a tenant's of much more, which start and
// end, or are refused where even an idle one has no room: no end fails, no byte is wrong, and whoever starts does so
// soon after the last kill.
func TestAFetcherOfLittleMemoryIsKilledEverySecond(t *testing.T) {
	n := newNodeOf(t, 64<<20)
	ended := make(chan struct{})
	var starting sync.WaitGroup
	var mu sync.Mutex
	starts, latest := map[string]int{}, time.Time{}
	start := func(namespace, variable, want string, worker int) {
		for round := 0; ; round++ {
			pod := n.pod(namespace, fmt.Sprintf("%s-%d-%d", strings.ToLower(variable), worker, round), variable)
			started := n.startUntil(t, pod, namespace == evil)
			if started {
				content, err := os.ReadFile(filepath.Join(n.Kubelet.Target(pod), "variables", variable))
				assert.True(t, err == nil && string(content) == want, "%s shows %d bytes: %v", pod.Name, len(content), err)
			}
			mu.Lock()
			if started {
				starts[variable]++
			}
			if namespace == bank {
				latest = time.Now()
			}
			mu.Unlock()
			began := time.Now()
			assert.NoError(t, n.Kubelet.Unpublish(context.Background(), pod))
			assert.Less(t, time.Since(began), afterLastKill)
			select {
			case <-ended:
				return
			default:
			}
		}
	}
	for i := range 2 {
		starting.Go(func() { start(bank, "small", "n33dle", i) })
	}
	starting.Go(func() { start(evil, "7M", strings.Repeat("x", 7<<20), 0) })
	starting.Go(func() { start(evil, "400K", strings.Repeat("x", 400<<10), 0) })
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	seconds := testlong.Seconds(t, 8)
	for range seconds {
		<-ticks.C
		n.Fetcher.Kill()
		require.NoError(t, n.StartFetcher(t.Context()))
	}
	last := time.Now()
	close(ended)
	starting.Wait()
	t.Logf("starts %v, the last of the small ones %v after the last kill", starts, latest.Sub(last))
	assert.Less(t, latest.Sub(last), afterLastKill)
	assert.Greater(t, starts["small"], seconds)
	assert.Positive(t, starts["400K"])
	assert.Zero(t, n.group.kills(t)+n.fetcher.kills(t), "processes killed for the limit")
	require.NoError(t, n.Kubelet.UnpublishAll(t.Context()))
}

// Values that grow once they are delivered, and a driver that is killed while they do.
func TestADriverThatIsKilledAtTheWorstMomentServesAtOnce(t *testing.T) {
	n := newNode(t)
	pods := n.crowd(30, "small", "400K", "1M", "7M")
	n.tell(t, "before", n.publish(t, pods)())
	n.serve(t, map[string]string{
		"small": strings.Repeat("y", 6<<20), "400K": strings.Repeat("y", 7<<20), "1M": strings.Repeat("y", 7<<20), "7M": strings.Repeat("y", 7<<20),
	})
	for range 3 {
		wait := n.publish(t, pods)
		<-time.After(rand.N(500 * time.Millisecond)) // some moment of it
		n.Driver.Kill()
		require.NoError(t, n.StartDriver(context.Background()))
		wait()
		began := time.Now()
		victim := pods[len(pods)-1]
		require.NoError(t, n.Kubelet.Unpublish(t.Context(), victim), "what is too much can be ended")
		assert.LessOrEqual(t, time.Since(began), patience)
		t.Logf("unpublished %v after the start", time.Since(began))
		n.tell(t, "killed", nil)
		pods = pods[:len(pods)-1]
	}
	n.serve(t, map[string]string{"small": "n33dle"}) // the others are withdrawn
	stop := n.honest(t)
	n.tell(t, "republished", n.publish(t, n.crowd(5, "small"))())
	slowest, count := stop()
	t.Logf("%d honest starts, the slowest in %v", count, slowest)
	assert.LessOrEqual(t, slowest, patience)
	require.NoError(t, n.Kubelet.UnpublishAll(t.Context()))
	n.tell(t, "ended", nil)
}

// What somebody holds open of volumes that are gone counts, for the driver that made them and for the
// next, though no mount tells of it.
func TestAFileThatIsHeldOpenOutlivesItsVolume(t *testing.T) {
	n := newNode(t)
	pods := n.crowd(4, "7M")
	require.Equal(t, map[codes.Code]int{codes.OK: 4}, n.publish(t, pods)())
	var held []*os.File
	letGo := func() {
		for _, file := range held {
			assert.NoError(t, file.Close())
		}
		held = nil
	}
	t.Cleanup(letGo)
	for _, pod := range pods {
		for _, name := range []string{"variables/7M", "airflow/variables.json"} {
			file, err := os.Open(filepath.Join(n.Kubelet.Target(pod), name))
			require.NoError(t, err)
			held = append(held, file)
		}
		require.NoError(t, n.Kubelet.Unpublish(t.Context(), pod))
	}
	require.Greater(t, n.group.number(t, "memory.stat", "shmem"), int64(50<<20))
	n.Driver.Kill()
	require.NoError(t, n.StartDriver(t.Context()))
	ended := n.publish(t, pods)()
	n.tell(t, "beside what was left behind", ended)
	assert.Positive(t, ended[codes.ResourceExhausted])
	assert.LessOrEqual(t, ended[codes.OK], 2)
	require.NoError(t, n.Kubelet.Publish(t.Context(), n.pod(bank, "honest", "small")))

	letGo()
	require.Eventually(t, func() bool { return len(n.publish(t, pods)()) == 1 }, testwait.Limit, 100*time.Millisecond, "it is seen that they are gone")
	n.tell(t, "after", n.publish(t, pods)())
	require.NoError(t, n.Kubelet.UnpublishAll(t.Context()))
}
