package attack

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/test/stack"
)

// slow answers after a tenth of a second.
func slow(w http.ResponseWriter, r *http.Request) bool {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-r.Context().Done():
	}
	return absent(w, r)
}

func silent(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

func refusing(w http.ResponseWriter, _ *http.Request) bool {
	kubetest.Refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
	return true
}

func throttling(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Retry-After", "1")
	kubetest.Refuse(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
	return true
}

// flapping hangs up at every second call, and answers the others.
func flapping() kubetest.Treatment {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		if calls.Add(1)%2 == 0 {
			panic(http.ErrAbortHandler)
		}
		return absent(w, r)
	}
}

func TestASourceOfOneTenant(t *testing.T) {
	for _, source := range []struct {
		how       string
		treatment kubetest.Treatment
	}{
		{"slow: a tenth of a second for each Secret", slow}, {"silent", silent}, {"refusing its tokens", refusing},
		{"throttled: 429", throttling}, {"flapping: it hangs up at every other call", flapping()},
	} {
		t.Run(source.how, func(t *testing.T) {
			n := newNode(t, options{})
			var treated atomic.Int64
			n.api.Treat(evil, func(w http.ResponseWriter, r *http.Request) bool {
				treated.Add(1)
				return source.treatment(w, r)
			})
			row := n.row("one tenant's source is "+source.how, "40 pods of 50 Secrets that start, and come back as soon as they have", "kubernetes", "core")
			row.least = 15 * time.Second // a call that is not answered is given up after 10
			live := n.pod(t, bank, "live", "kubernetes", shared)
			var oldest func() time.Duration
			row.run(t, func() {
				oldest = n.ages(t, refreshed(live))
				n.attack(t, "pods", restarting(n.kubelet(n.pods(t, 40, evil, "kubernetes", ids("absent_", 50), nil))))
			})
			age := oldest()
			row.note("an honest volume of %s was confirmed after %s at most", leastRefresh, short(age))
			assert.LessOrEqual(t, age, 7*time.Second)
			assert.Greater(t, treated.Load(), int64(20), "the attack is one")
			row.record(t)
		})
	}
}

func restarting(ordered podsOrders) podsOrders {
	ordered.Restart, ordered.Republish = true, startEvery
	return ordered
}

// TestAllStartAfterALongOutage has pods of many namespaces wait for core.
func TestAllStartAfterALongOutage(t *testing.T) {
	const namespaces, podsOfEach = 11, 10
	n := newNode(t, options{})
	row := n.row("core is away, and then everybody starts", "110 pods of 11 namespaces, tried again by a kubelet", "core")
	var pods []stack.Pod
	for i := range namespaces {
		pods = append(pods, n.pods(t, podsOfEach, evil+"-"+string(rune('a'+i)), "core", shared, nil)...)
	}
	row.quiet = n.startHonest(t, *length/2, "core")
	n.Core.Kill()
	n.attack(t, "pods", n.kubelet(pods))
	pause(t, *length)
	require.Zero(t, n.running(pods), "core is away")
	require.NoError(t, n.StartCore(t.Context()))
	back := time.Now()
	last := n.await(t, pods, time.Minute)
	row.beside = n.startHonest(t, *length/2, "core")
	row.note("all %d ran %s after core was back", len(pods), short(last.Sub(back)))
	row.record(t)
}

// running is how many of the pods have their files.
func (n *node) running(pods []stack.Pod) (count int) {
	for _, pod := range pods {
		if n.shows(pod) == nil {
			count++
		}
	}
	return count
}

// await waits until all pods have their files, and says when.
func (n *node) await(t *testing.T, pods []stack.Pod, limit time.Duration) time.Time {
	t.Helper()
	require.Eventually(t, func() bool { return n.running(pods) == len(pods) }, limit, 50*time.Millisecond)
	return time.Now()
}
