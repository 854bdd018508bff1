package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/state"
)

// awaitReady returns when a pod could be created and would run: the node, started at that
// time, is ready, and the service account that pods use unless told otherwise exists.
func awaitReady(ctx context.Context, dir state.Dir, started time.Time) error {
	config, err := clientcmd.BuildConfigFromFlags("", dir.Kubeconfig())
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if _, err := await.Node(ctx, client, dir.Name(), isReady(started)); err != nil {
		return err
	}
	_, err = await.ServiceAccount(ctx, client, metav1.NamespaceDefault, "default")
	return err
}

// isReady holds for a node that takes pods. The API server remembers a node that was
// ready before a reboot, so kubelet must have said so since.
func isReady(since time.Time) func(*corev1.Node) bool {
	since = since.Truncate(time.Second) // as precise as the API's times are
	return func(node *corev1.Node) bool {
		if len(node.Spec.Taints) > 0 {
			return false
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue && !condition.LastHeartbeatTime.Time.Before(since)
			}
		}
		return false
	}
}
