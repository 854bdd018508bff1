package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/testneed"
	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// twoWorkers ends a test that needs more nodes than the cluster has.
func (s *scenario) twoWorkers() []string {
	s.Helper()
	_, workers := s.nodes()
	if len(workers) < 2 {
		testneed.Missing(s.TB, fmt.Sprintf("it needs two nodes that take pods, and this cluster has %d", len(workers)))
	}
	return workers
}

func TestRotationReachesEveryNode(t *testing.T) {
	s := begin(t)
	s.twoWorkers()
	nodes, _ := s.nodes()
	for _, name := range nodes {
		pod := task("on-"+name, all(), stays)
		pod.Spec.NodeName = name
		s.Create(pod)
	}
	for _, name := range nodes {
		s.Await("on-"+name, await.IsReady)
	}
	variable, connection := s.rotate()
	for _, name := range nodes {
		s.awaitVariable("on-"+name, variable)
		assert.Equal(t, connection, s.read("on-"+name, "connections/rotating"), name)
	}
}

// kubectl is the real one.
func (s *scenario) kubectl(args ...string) {
	s.Helper()
	output, err := exec.CommandContext(s.Ctx, "kubectl", args...).CombinedOutput()
	require.NoError(s, err, string(output))
	s.Logf("kubectl %s\n%s", strings.Join(args, " "), output)
}

// The pod's controller makes it anew on another node, where it has the same values; on the
// drained node nothing of it remains.
func TestDrainMovesAPodWithItsValues(t *testing.T) {
	s := begin(t)
	s.twoWorkers()
	first := s.deploy("moves", task("moves", all(), stays))
	n := s.on(first)
	defer func() {
		// The test's own context may be done.
		output, err := exec.CommandContext(context.Background(), "kubectl", "uncordon", n.name).CombinedOutput()
		assert.NoError(t, err, string(output))
		assert.NoError(t, s.product.AwaitCore(context.Background()))
	}()
	// The test's own pod on the node has no controller: it is what needs --force.
	s.kubectl("drain", n.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=2m",
		"--pod-selector=app notin (node-"+n.name+")")
	second := s.deployed("moves", first)
	assert.NotEqual(t, n.name, second.Spec.NodeName)
	assert.Equal(t, s.product.entries.warehouse(), s.read(second.Name, "connections/warehouse"))
	n.awaitNothing([]string{string(first.UID)})
	require.NoError(t, s.product.AwaitCore(s.Ctx))
	variable, _ := s.rotate()
	s.awaitVariable(second.Name, variable)
}

// deploy gives the pod a controller, and returns it once it is ready.
func (s *scenario) deploy(name string, pod *corev1.Pod) *corev1.Pod {
	s.Helper()
	replicas := int32(1)
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	_, err := s.Client.AppsV1().Deployments(s.Namespace).Create(s.Ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
		},
	}, metav1.CreateOptions{})
	require.NoError(s, err)
	return s.deployed(name, nil)
}

// deployed is the ready pod of the controller that is not the one before.
func (s *scenario) deployed(name string, before *corev1.Pod) *corev1.Pod {
	s.Helper()
	var found *corev1.Pod
	_, err := await.Pods(s.Ctx, s.Client, s.Namespace, func(pods map[string]*corev1.Pod) bool {
		for _, pod := range pods {
			if strings.HasPrefix(pod.Name, name+"-") && pod.DeletionTimestamp == nil && await.IsReady(pod) &&
				(before == nil || pod.UID != before.UID) {
				found = pod
				return true
			}
		}
		return false
	})
	require.NoError(s, err)
	return found
}

// Pods start and end on both workers while the drivers are replaced one by one. Each of them
// starts with right values, and those that were there before never miss a file.
func TestRollingUpgradeUnderPodsThatStartAndStop(t *testing.T) {
	s := begin(t)
	workers := s.twoWorkers()
	for _, name := range workers {
		pod := withMemory(task("before-"+name, all(), watching))
		pod.Spec.NodeName = name
		s.Run(pod, await.IsReady)
	}
	n := s.onNode(workers[0])
	stop, most := s.watchUnavailable()
	churning, end := context.WithCancel(s.Ctx)
	var churn sync.WaitGroup
	started := make([]int, len(workers))
	for i, name := range workers {
		churn.Go(func() { started[i] = s.churn(churning, name) })
	}
	n.upgradeDriver()
	end()
	churn.Wait()
	stop()
	assert.Equal(t, int32(1), most(), "drivers that were away at once")
	for i, name := range workers {
		t.Logf("%d pods started and ended on %s meanwhile", started[i], name)
		assert.Greater(t, started[i], 2, name)
		s.change("before-" + name)
		assert.Equal(t, "", s.Exec("before-"+name, "sh", "-c", "cat /seen/gaps 2>/dev/null || :"), "no file was ever gone")
	}
	variable, _ := s.rotate()
	for _, name := range workers {
		s.awaitVariable("before-"+name, variable)
	}
}

// churn starts and ends pods on the node, one after another, until the context ends, and
// returns how many. The one that is under way then is carried to its end.
func (s *scenario) churn(until context.Context, node string) (count int) {
	warehouse := hash(s.product.entries.warehouse())
	for ; until.Err() == nil; count++ {
		pod := task(fmt.Sprintf("churn-%s-%d", node, count), all(),
			"sha256sum <"+mountPath+"/connections/warehouse | grep -q "+warehouse)
		pod.Spec.NodeName = node
		pods := s.Client.CoreV1().Pods(s.Namespace)
		if _, err := pods.Create(s.Ctx, pod, metav1.CreateOptions{}); err != nil {
			s.Errorf("creating a pod: %v", err)
			return count
		}
		done, err := await.Pod(s.Ctx, s.Client, s.Namespace, pod.Name, await.IsDone)
		if err != nil || done.Status.Phase != corev1.PodSucceeded {
			s.Errorf("%s: not every value was right: %v", pod.Name, err)
			return count
		}
		if err := pods.Delete(s.Ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
			s.Errorf("deleting a pod: %v", err)
			return count
		}
	}
	return count
}

// watchUnavailable notes how many drivers are away at once, until stop is called.
func (s *scenario) watchUnavailable() (stop func(), most func() int32) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Ctx)
	watcher, err := s.Client.AppsV1().DaemonSets(chart.Namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + chart.DriverName})
	require.NoError(s, err)
	var highest int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watcher.ResultChan() {
			if drivers, ok := event.Object.(*appsv1.DaemonSet); ok {
				highest = max(highest, drivers.Status.NumberUnavailable)
			}
		}
	}()
	return func() { cancel(); watcher.Stop(); <-done }, func() int32 { return highest }
}

// execEnv names the command that runs a command on the node whose name follows.
const execEnv = "LEOFLOW_NODE_EXEC"

// A pod waits for a node that joins: the driver and the pod come there at the same time, and
// kubelet has to wait for the driver. A node's kubelet registers the node when it starts.
func TestNodeJoinsWhilePodsWait(t *testing.T) {
	s := begin(t)
	workers := s.twoWorkers()
	command := os.Getenv(execEnv)
	if command == "" {
		testneed.Missing(t, execEnv+" does not say how to run a command on a node")
	}
	joins := workers[len(workers)-1]
	systemctl := func(verb string) {
		output, err := exec.CommandContext(s.Ctx, "sh", "-c", command+" "+joins+" systemctl "+verb+" kubelet").CombinedOutput()
		require.NoError(t, err, string(output))
	}
	systemctl("stop")
	defer systemctl("start")
	require.NoError(t, s.Client.CoreV1().Nodes().Delete(s.Ctx, joins, metav1.DeleteOptions{}))
	waits := task("waits", all(), stays)
	waits.Spec.NodeSelector = map[string]string{corev1.LabelHostname: joins}
	s.Create(waits)
	s.event("waits", "didn't match Pod's node affinity/selector")
	began := time.Now()
	systemctl("start")
	pod := s.Await("waits", await.IsReady)
	t.Logf("the pod ran %v after the node's kubelet was started", time.Since(began).Round(100*time.Millisecond))
	assert.Equal(t, joins, pod.Spec.NodeName)
	assert.Equal(t, s.product.entries.warehouse(), s.read("waits", "connections/warehouse"))
	require.NoError(t, s.product.AwaitDrivers(s.Ctx))
	require.NoError(t, s.product.AwaitCore(s.Ctx))
	variable, _ := s.rotate()
	s.awaitVariable("waits", variable)
}
