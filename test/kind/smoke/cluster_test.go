// Package smoke tests that a cluster can do what the product and its suite stand on,
// before either is blamed. It tests whatever cluster KUBECONFIG names; the images of
// package image must be loaded there.
package smoke

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/image"
)

// patience is for a machine that compiles something else meanwhile.
const patience = 2 * time.Minute

// cluster is one test's view of the cluster: a namespace of its own.
type cluster struct {
	*testing.T
	ctx       context.Context
	config    *rest.Config
	client    kubernetes.Interface
	namespace string
}

func connect(t *testing.T) *cluster {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	require.NotEmpty(t, path, "KUBECONFIG names no cluster; 'go run ./cluster up' starts one and tells its own")
	config, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	c := &cluster{T: t, ctx: ctx, config: config, client: client}
	c.createNamespace()
	return c
}

func (c *cluster) createNamespace() {
	namespaces := c.client.CoreV1().Namespaces()
	created, err := namespaces.Create(c.ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "leoflow-smoke-"},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	c.namespace = created.Name
	c.Cleanup(func() {
		// The test's own context is done by now.
		if err := namespaces.Delete(context.Background(), c.namespace, metav1.DeleteOptions{}); err != nil {
			c.Errorf("deleting the test's namespace: %v", err)
		}
	})
	_, err = await.ServiceAccount(c.ctx, c.client, c.namespace, "default")
	require.NoError(c, err)
}

// script is a pod of one busybox container that runs a shell script.
func script(name, text string) *corev1.Pod {
	soon := int64(1)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: &soon,
			Containers: []corev1.Container{{
				Name:            "main",
				Image:           image.Busybox,
				ImagePullPolicy: corev1.PullIfNotPresent,
				Command:         []string{"/bin/sh", "-ec", text},
			}},
		},
	}
}

// run creates the pod and waits until the condition holds for it.
func (c *cluster) run(pod *corev1.Pod, condition func(*corev1.Pod) bool) *corev1.Pod {
	c.Helper()
	_, err := c.client.CoreV1().Pods(c.namespace).Create(c.ctx, pod, metav1.CreateOptions{})
	require.NoError(c, err)
	running, err := await.Pod(c.ctx, c.client, c.namespace, pod.Name, condition)
	require.NoError(c, err)
	return running
}

// output runs the pod to its end, which must be a good one, and returns what it wrote.
func (c *cluster) output(pod *corev1.Pod) string {
	c.Helper()
	done := c.run(pod, await.IsDone)
	output := c.logs(pod.Name)
	require.Equal(c, corev1.PodSucceeded, done.Status.Phase, output)
	return output
}

func (c *cluster) logs(pod string) string {
	c.Helper()
	output, err := c.client.CoreV1().Pods(c.namespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(c.ctx)
	require.NoError(c, err)
	return string(output)
}

// exec runs a command in the pod's container.
func (c *cluster) exec(pod string, command ...string) string {
	c.Helper()
	request := c.client.CoreV1().RESTClient().Post().
		Namespace(c.namespace).Resource("pods").Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(c.config, "GET", request.URL().String())
	require.NoError(c, err)
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(c.ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	require.NoError(c, err, stderr.String())
	return stdout.String()
}
