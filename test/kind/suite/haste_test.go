package suite

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// Core keeps the driver waiting, and the pod does not wait for either.
func TestPodIsDeletedWhilePublishIsUnderWay(t *testing.T) {
	for _, row := range []struct {
		name    string
		answers bool
	}{{"core answers after all", true}, {"core does not answer", false}} {
		t.Run(row.name, func(t *testing.T) {
			s := begin(t)
			n := s.on(s.Run(task("before", all(), stays), await.IsReady))
			cores, err := s.product.Pods(s.Ctx, "core")
			require.NoError(t, err)
			beside := s.on(&cores[0])
			beside.signal("STOP", &cores[0], "core")
			resume := func() { beside.signal("CONT", &cores[0], "core") }
			defer resume()
			pod := s.Create(assigned(task("task", all(), stays), n))
			// Kubelet writes this file for itself right before it calls the driver.
			n.shell("until [ -e " + rootOfNode + "/var/lib/kubelet/pods/" + string(pod.UID) + "/volumes/kubernetes.io~csi/leoflow/vol_data.json ]; do sleep 0.01; done")
			require.NoError(t, s.Client.CoreV1().Pods(s.Namespace).Delete(s.Ctx, "task", metav1.DeleteOptions{}))
			if row.answers {
				resume()
			}
			n.awaitNothing([]string{string(pod.UID)})
			resume()
			s.Run(task("after", all(), stays), await.IsReady)
			require.Empty(t, n.remains([]string{string(pod.UID)}), "nor does it come back")
		})
	}
}
