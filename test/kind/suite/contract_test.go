package suite

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// contract is what both deliverers are held to: each question is asked of either, by the same code, and what is
// answered differently has to stand in the document's table in the words of the answers.
type contract struct {
	place
	both      []deliverer
	pods      map[string]*corev1.Pod
	different map[string][2]string
}

// beginContract has a namespace that admits no rights, with core's CA and the account, and looks at one node.
func beginContract(t *testing.T) *contract {
	t.Helper()
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	s := beginIn(t, clustertest.Space{Labels: labels, Patience: patience})
	s.account(direct)
	ca, err := s.Client.CoreV1().ConfigMaps(chart.Namespace).Get(s.Ctx, chart.CoreName+"-ca", metav1.GetOptions{})
	require.NoError(t, err)
	_, err = s.Client.CoreV1().ConfigMaps(s.Namespace).Create(s.Ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ca.Name}, Data: ca.Data}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, workers := s.nodes()
	where := place{s, begin(t).onNode(workers[0])}
	return &contract{
		place: where, both: []deliverer{ontoVolume{where}, intoDirectory{where}},
		pods: map[string]*corev1.Pod{}, different: map[string][2]string{},
	}
}

// start creates the pod for both, and does not wait.
func (c *contract) start(name string, wants attributes, script string, change func(*corev1.Pod)) {
	c.Helper()
	for _, d := range c.both {
		pod := d.pod(name, wants, script)
		if change != nil {
			change(pod)
		}
		c.pods[pod.Name] = c.Create(pod)
	}
}

// of is that pod of the deliverer's.
func (c *contract) of(d deliverer, name string) *corev1.Pod {
	c.Helper()
	pod := c.pods[d.pod(name, nil, "").Name]
	require.NotNil(c, pod, name)
	return pod
}

// ready waits for the pods of both.
func (c *contract) ready(names ...string) {
	c.Helper()
	for _, name := range names {
		for _, d := range c.both {
			c.Await(c.of(d, name).Name, await.IsReady)
		}
	}
}

// ask asks both about their pod of that name.
func (c *contract) ask(question, name string, answer func(d deliverer, pod *corev1.Pod) string) {
	c.Helper()
	var answers [2]string
	began := time.Now()
	for i, d := range c.both {
		answers[i] = answer(d, c.of(d, name))
	}
	if took := time.Since(began); took > time.Second {
		c.Logf("%s: answered after %v", question, took.Round(100*time.Millisecond))
	}
	if answers[0] != answers[1] {
		c.Logf("%s: %q, and %q", question, answers[0], answers[1])
		c.different[question] = answers
	}
}

// table is that of the document, by its first column.
func (c *contract) table() map[string][2]string {
	c.Helper()
	_, text, found := strings.Cut(c.documentOf(), "| | driver and volume | `fetcher --into` |\n|---|---|---|\n")
	require.True(c, found, "the table is where it was")
	rows := map[string][2]string{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			break
		}
		rows[strings.TrimSpace(cells[1])] = [2]string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}
	}
	return rows
}

// All that a pod can notice, over both deliverers on a real kubelet, at once and by the same code.
func TestBothDeliverersKeepOneContract(t *testing.T) {
	c := beginContract(t)
	wants := attributes{"connections": "warehouse, rotating, reporting, payroll?, ghost?", "variables": "region, rotating"}
	few := attributes{"connections": "reporting", "variables": "region"}
	const control = "needleThatTheSearchMustFind"
	c.start("task", wants, "echo "+control+"\n"+seeing, func(pod *corev1.Pod) { withUnprivilegedAgent(pod) })
	c.start("second", wants, seeing, nil)
	c.start("writes", few, stays, func(pod *corev1.Pod) {
		mounts := pod.Spec.Containers[0].VolumeMounts
		mounts[len(mounts)-1].ReadOnly = false
	})
	c.start("denied", attributes{"connections": "warehouse, payroll"}, stays, nil)
	c.start("missing", attributes{"connections": "ghost"}, stays, nil)
	c.start("other", attributes{"variables": "region"}, stays, func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "default" })
	c.ready("task", "second", "writes")

	began := time.Now()
	step := func(done string) {
		t.Logf("%s after %v", done, time.Since(began).Round(100*time.Millisecond))
	}
	step("ready")
	c.look()
	c.refuse()
	step("refused")
	served := map[string]bool{hash(c.product.entries.variables["rotating"]): true}
	c.rotateAndRevoke(served)
	step("rotated")
	c.goWithoutCore(served)
	step("without core")
	c.kill(served)
	step("killed")
	c.search(control)
	step("searched")
	c.end()
	step("ended")
	assert.Equal(t, c.table(), c.different, "docs/without-driver.md lists what differs, and nothing else")
}

// withUnprivilegedAgent is withAgent in a namespace that admits no rights.
func withUnprivilegedAgent(pod *corev1.Pod) {
	withAgent(pod)
	pod.Spec.InitContainers[0].SecurityContext = pod.Spec.Containers[0].SecurityContext
}
