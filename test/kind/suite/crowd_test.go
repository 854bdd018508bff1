package suite

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// fullNode is how many pods kubelet runs on a node unless told otherwise.
const fullNode = 110

// crowd creates pods at once, and returns how long it takes until all are ready.
func (s *scenario) crowd(size int, pod func(name string) *corev1.Pod) time.Duration {
	s.Helper()
	began := time.Now()
	var creating sync.WaitGroup
	for i := range size {
		creating.Go(func() {
			if _, err := s.Client.CoreV1().Pods(s.Namespace).Create(s.Ctx, pod(fmt.Sprintf("task-%d", i)), metav1.CreateOptions{}); err != nil {
				s.Errorf("creating a pod: %v", err)
			}
		})
	}
	creating.Wait()
	_, err := await.Pods(s.Ctx, s.Client, s.Namespace, func(pods map[string]*corev1.Pod) bool { return size == ready(pods) })
	require.NoError(s, err)
	return time.Since(began)
}

// ready is how many of the crowd are.
func ready(pods map[string]*corev1.Pod) (count int) {
	for name, pod := range pods {
		if strings.HasPrefix(name, "task-") && await.IsReady(pod) {
			count++
		}
	}
	return count
}

// disperse deletes the crowd at once, and returns its UIDs once the API forgot them.
func (s *scenario) disperse() (uids []string) {
	s.Helper()
	pods := s.Client.CoreV1().Pods(s.Namespace)
	list, err := pods.List(s.Ctx, metav1.ListOptions{LabelSelector: "crowd"})
	require.NoError(s, err)
	for _, pod := range list.Items {
		uids = append(uids, string(pod.UID))
	}
	require.NoError(s, pods.DeleteCollection(s.Ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "crowd"}))
	_, err = await.Pods(s.Ctx, s.Client, s.Namespace, func(pods map[string]*corev1.Pod) bool {
		for name := range pods {
			if strings.HasPrefix(name, "task-") {
				return false
			}
		}
		return true
	})
	require.NoError(s, err)
	return uids
}

// member has ten entries, checks its files by itself, and says so.
func (s *scenario) member(on *node) func(name string) *corev1.Pod {
	connections := "warehouse"
	for i := range parts {
		connections += ", " + partID(i)
	}
	values := map[string]string{
		"connections/warehouse": s.product.entries.warehouse(),
		"variables/region":      s.product.entries.variables["region"],
		"variables/batch.size":  s.product.entries.variables["batch.size"],
	}
	var script strings.Builder
	for file, value := range values {
		fmt.Fprintf(&script, "sha256sum <%s/%s | grep -q %s\n", mountPath, file, hash(value))
	}
	script.WriteString("echo right\n" + stays)
	return func(name string) *corev1.Pod {
		pod := task(name, attributes{"connections": connections, "variables": "region, batch.size"}, script.String())
		return assigned(pod, on)
	}
}

// assigned puts the pod into the crowd on that node.
func assigned(pod *corev1.Pod, on *node) *corev1.Pod {
	pod.Labels["crowd"] = ""
	pod.Spec.NodeName = on.name
	return pod
}

// The crowd takes longer than kubelet takes to look at every pod, so that what was there
// before learns of a rotation though its driver was ended meanwhile.
func TestFullNodeAtOnce(t *testing.T) {
	s := begin(t)
	n := s.on(s.Run(task("before", all(), stays), await.IsReady))
	idle := n.goroutines()
	variable, _ := s.rotate()
	before := len(n.mounts(""))
	t.Logf("%d pods are ready after %v", fullNode, s.crowd(fullNode, s.member(n)))
	assert.Len(t, n.mounts(""), before+fullNode)
	n.assertMemorySuffices()
	for i := range fullNode {
		assert.Equal(t, "right\n", s.Logs(fmt.Sprintf("task-%d", i)))
	}
	began := time.Now()
	n.awaitNothing(s.disperse())
	t.Logf("nothing of them remains after %v", time.Since(began))
	s.awaitVariable("before", variable)
	assert.Equal(t, idle, n.goroutines())
}

// goroutines are those of the driver, by what created them. It is made to tell as every
// Go program does: by its end.
func (n *node) goroutines() map[string]int {
	n.Helper()
	driver := n.driver()
	was := incarnation(driver)
	n.signal("QUIT", driver, "driver")
	_, err := await.Pod(n.Ctx, n.Client, chart.Namespace, driver.Name, func(pod *corev1.Pod) bool {
		return incarnation(pod) != was && await.IsReady(pod)
	})
	require.NoError(n, err)
	options := &corev1.PodLogOptions{Container: "driver", Previous: true}
	log, err := n.Client.CoreV1().Pods(chart.Namespace).GetLogs(driver.Name, options).DoRaw(n.Ctx)
	require.NoError(n, err)
	creators := map[string]int{}
	for line := range strings.Lines(string(log)) {
		if creator, found := strings.CutPrefix(line, "created by github.com/leoflow/"); found {
			creator, _, _ = strings.Cut(creator, " in goroutine")
			creators[strings.TrimSpace(creator)]++
		}
	}
	require.NotEmpty(n, creators)
	return creators
}
