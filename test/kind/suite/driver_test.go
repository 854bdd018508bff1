package suite

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// watching is a script that looks at the files without pause, and notes every time when
// one was not there whole.
const watching = `
	while sleep 0.01; do
		[ -s ` + mountPath + `/variables/rotating ] && [ -s ` + mountPath + `/connections/warehouse ] || date >>/seen/gaps
	done`

// TestDriverGoesUnderRunningPods: files stay, new pods start, rotation resumes.
func TestDriverGoesUnderRunningPods(t *testing.T) {
	for _, row := range []struct {
		name string
		goes func(*node)
	}{
		{"deleted", func(n *node) {
			err := n.Client.CoreV1().Pods(namespace).Delete(n.Ctx, n.driver().Name, metav1.DeleteOptions{})
			require.NoError(n, err)
		}},
		{"killed", func(n *node) { n.signal("KILL", n.driver(), "driver") }},
		{"upgraded", func(n *node) { n.upgradeDriver() }},
		{"rolled back", func(n *node) {
			n.upgradeDriver()
			_, err := helm(n.Ctx, nil, "rollback", release, "--namespace", namespace, "--wait", "--timeout", installing.String())
			require.NoError(n, err)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := begin(t)
			before := s.Run(withMemory(task("before", all(), watching)), await.IsReady)
			n := s.on(before)
			was := n.driver()
			row.goes(n)
			assert.Equal(t, s.product.entries.warehouse(), s.read("before", "connections/warehouse"), "files stay")
			s.Run(task("after", all(), stays), await.IsReady)
			assert.NotEqual(t, incarnation(was), incarnation(n.driver()), "it was another driver")
			variable, _ := s.rotate()
			s.awaitVariable("before", variable)
			s.awaitVariable("after", variable)
			assert.Equal(t, "", s.Exec("before", "sh", "-c", "cat /seen/gaps 2>/dev/null || :"), "no file was ever gone")
			s.gone("before")
			n.awaitNothing([]string{string(before.UID)})
		})
	}
}

// upgradeDriver upgrades the release to other drivers, and back at the test's end.
func (n *node) upgradeDriver() {
	n.Helper()
	values := n.product.values()
	values["driver"] = map[string]any{
		"logLevel": "debug", "podAnnotations": map[string]string{"leoflow.io/upgraded": time.Now().Format(time.RFC3339Nano)},
	}
	require.NoError(n, n.product.upgradeTo(n.Ctx, values))
	n.Cleanup(func() {
		if err := n.product.upgrade(context.Background()); err != nil {
			n.Errorf("upgrading back: %v", err)
		}
	})
}

// incarnation tells apart the processes that one pod, or one node, has in turn.
func incarnation(driver *corev1.Pod) string {
	restarts := int32(0)
	for _, status := range driver.Status.ContainerStatuses {
		restarts += status.RestartCount
	}
	return string(driver.UID) + " " + strconv.Itoa(int(restarts))
}
