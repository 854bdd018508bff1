package clustertest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// Busybox is the image of the tests' own pods. kind.sh makes and loads it.
const Busybox = "localhost/leoflow/busybox:test"

// Script is a pod of one busybox container that runs a shell script.
func Script(name, text string) *corev1.Pod {
	soon := int64(1)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: &soon,
			Containers: []corev1.Container{{
				Name:            "main",
				Image:           Busybox,
				ImagePullPolicy: corev1.PullIfNotPresent,
				Command:         []string{"/bin/sh", "-ec", text},
			}},
		},
	}
}

// Create makes the pod and does not wait.
func (c *Cluster) Create(pod *corev1.Pod) *corev1.Pod {
	c.Helper()
	created, err := c.Client.CoreV1().Pods(c.Namespace).Create(c.Ctx, pod, metav1.CreateOptions{})
	require.NoError(c, err)
	return created
}

// Await returns the pod once the condition holds for it.
func (c *Cluster) Await(pod string, condition func(*corev1.Pod) bool) *corev1.Pod {
	c.Helper()
	found, err := await.Pod(c.Ctx, c.Client, c.Namespace, pod, condition)
	require.NoError(c, err)
	return found
}

// Run creates the pod and waits until the condition holds for it.
func (c *Cluster) Run(pod *corev1.Pod, condition func(*corev1.Pod) bool) *corev1.Pod {
	c.Helper()
	c.Create(pod)
	return c.Await(pod.Name, condition)
}

// Output runs the pod to its end, which must be a good one, and returns what it wrote.
func (c *Cluster) Output(pod *corev1.Pod) string {
	c.Helper()
	done := c.Run(pod, await.IsDone)
	output := c.Logs(pod.Name)
	require.Equal(c, corev1.PodSucceeded, done.Status.Phase, output)
	return output
}

// Logs are what the pod's container wrote so far.
func (c *Cluster) Logs(pod string) string {
	c.Helper()
	output, err := c.Client.CoreV1().Pods(c.Namespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(c.Ctx)
	require.NoError(c, err)
	return string(output)
}

// Exec runs a command in the pod's first container, which must succeed.
func (c *Cluster) Exec(pod string, command ...string) string {
	c.Helper()
	stdout, err := c.TryExec(pod, command...)
	require.NoError(c, err, strings.Join(command, " "))
	return stdout
}

// TryExec is Exec of a command that may fail.
func (c *Cluster) TryExec(pod string, command ...string) (string, error) {
	return c.TryExecIn(pod, "", command...)
}

// TryExecIn is TryExec in a container of a pod that has several.
func (c *Cluster) TryExecIn(pod, container string, command ...string) (string, error) {
	request := c.Client.CoreV1().RESTClient().Post().
		Namespace(c.Namespace).Resource("pods").Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", request.URL().String())
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(c.Ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	if err != nil && stderr.Len() > 0 {
		err = errors.Join(err, errors.New(strings.TrimSpace(stderr.String())))
	}
	return stdout.String(), err
}
