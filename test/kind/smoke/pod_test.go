package smoke

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

func TestNodeIsReady(t *testing.T) {
	c := connect(t)
	nodes, err := c.Client.CoreV1().Nodes().List(c.Ctx, metav1.ListOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, nodes.Items)
	for _, node := range nodes.Items {
		assert.Equal(t, corev1.ConditionTrue, readiness(node), node.Name)
	}
}

func readiness(node corev1.Node) corev1.ConditionStatus {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status
		}
	}
	return corev1.ConditionUnknown
}

func TestPodRunsAndCanBeReached(t *testing.T) {
	c := connect(t)
	c.Run(clustertest.Script("reached", "echo written; exec sleep 3600"), await.IsReady)
	assert.Equal(t, "written\n", c.Logs("reached"))
	assert.Equal(t, "0\n", c.Exec("reached", "id", "-u"))
}

func TestServiceAnswersByAddressAndByName(t *testing.T) {
	c := connect(t)
	server := clustertest.Script("server", "mkdir /www; echo answered >/www/index.html; exec httpd -f -p 8080 -h /www")
	c.Run(server, await.IsReady)
	service, err := c.Client.CoreV1().Services(c.Namespace).Create(c.Ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: corev1.ServiceSpec{
			Selector: server.Labels,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	// Endpoints reach the node some time after the service is there.
	answer := c.Output(clustertest.Script("by-address", `
		until printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 `+service.Spec.ClusterIP+` 80 >/tmp/answer; do sleep 0.1; done
		cat /tmp/answer`))
	assert.Contains(t, answer, "answered")

	answer = c.Output(clustertest.Script("by-name", `
		until nslookup server.`+c.Namespace+`.svc.cluster.local >/tmp/answer; do sleep 0.1; done
		cat /tmp/answer`))
	assert.Contains(t, answer, service.Spec.ClusterIP)
}
