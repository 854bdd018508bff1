package suite

import (
	"strings"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// node is a pod that sees the node's processes and files, as root. It needs nothing of
// the node that is not its image's.
type node struct {
	*scenario
	pod  string
	name string
}

// rootOfNode is where that pod finds the node's own file system.
const rootOfNode = "/proc/1/root"

// on starts the pod on the node where the other one runs.
func (s *scenario) on(other *corev1.Pod) *node {
	s.Helper()
	return s.onNode(other.Spec.NodeName)
}

// onNode starts the pod on the node, if the test has none there.
func (s *scenario) onNode(name string) *node {
	s.Helper()
	privileged := true
	pod := clustertest.Script("node-"+name, stays)
	pod.Spec.NodeName = name
	pod.Spec.HostPID = true
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways // for a reboot
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
	_, err := s.Client.CoreV1().Pods(s.Namespace).Create(s.Ctx, pod, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(s, err)
	}
	s.Await(pod.Name, await.IsReady)
	return &node{s, pod.Name, name}
}

// nodes are the names of all nodes, and workers of those that take any pod.
func (s *scenario) nodes() (all, workers []string) {
	s.Helper()
	list, err := s.Client.CoreV1().Nodes().List(s.Ctx, metav1.ListOptions{})
	require.NoError(s, err)
	for _, node := range list.Items {
		all = append(all, node.Name)
		if len(node.Spec.Taints) == 0 && !node.Spec.Unschedulable {
			workers = append(workers, node.Name)
		}
	}
	return all, workers
}

// shell runs a script on the node.
func (n *node) shell(script string) string {
	n.Helper()
	return n.Exec(n.pod, "/bin/sh", "-ec", script)
}

// signal goes to the process of that name in another pod.
func (n *node) signal(signal string, pod *corev1.Pod, process string) {
	n.Helper()
	n.inProcess(pod, process, "kill -"+signal+" ${process#/proc/}")
}

// inProcess runs a script that knows the directory of the process, $process.
func (n *node) inProcess(pod *corev1.Pod, process, script string) string {
	n.Helper()
	// As cgroupfs and as systemd write it.
	uid := string(pod.UID) + "|" + strings.ReplaceAll(string(pod.UID), "-", "_")
	return n.shell(`for process in /proc/[0-9]*; do
		if [ "$(cat $process/comm)" = ` + process + ` ] && grep -qE '` + uid + `' $process/cgroup; then
			` + script + `
			exit 0
		fi
	done 2>/dev/null
	echo "the pod has no such process" >&2; exit 1`)
}

// mounts are the targets of the driver's volumes on the node, of one pod or, without a
// UID, of all.
func (n *node) mounts(uid string) []string {
	n.Helper()
	return strings.Fields(n.shell(`awk '$5 ~ "/pods/` + uid + `.*/volumes/kubernetes.io~csi/.*/mount$" {print $5}' /proc/1/mountinfo`))
}

// remains are the mounts and directories that kubelet should not have any more.
func (n *node) remains(uids []string) []string {
	n.Helper()
	var found []string
	// Not ls, which fails over a directory that goes away while it lists them.
	directories := "\n" + n.shell("for pod in "+rootOfNode+"/var/lib/kubelet/pods/*; do echo ${pod##*/}; done")
	mounts := strings.Join(n.mounts(""), "\n")
	for _, uid := range uids {
		if strings.Contains(mounts, uid) {
			found = append(found, "mount of "+uid)
		}
		if strings.Contains(directories, "\n"+uid+"\n") {
			found = append(found, "directory of "+uid)
		}
	}
	return found
}

// awaitNothing returns once nothing of the pods remains on the node. Kubelet removes a
// pod's directory a while after the API forgot the pod.
func (n *node) awaitNothing(uids []string) {
	n.Helper()
	var found []string
	err := await.Until(n.Ctx, func() bool {
		found = n.remains(uids)
		return len(found) == 0
	})
	require.NoError(n, err, found)
}

// driver is the one on this node.
func (n *node) driver() *corev1.Pod {
	n.Helper()
	pod, err := n.product.driver(n.Ctx, n.name)
	require.NoError(n, err)
	return &pod
}
