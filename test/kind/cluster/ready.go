package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	watchtools "k8s.io/client-go/tools/watch"

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
	core := client.CoreV1().RESTClient()
	err = await(ctx, core, "nodes", "", dir.Name(), &corev1.Node{}, isReady(started))
	if err != nil {
		return err
	}
	return await(ctx, core, "serviceaccounts", metav1.NamespaceDefault, "default", &corev1.ServiceAccount{},
		func(runtime.Object) bool { return true })
}

// await watches one object until the condition holds for it.
func await(ctx context.Context, client rest.Interface, resource, namespace, name string,
	kind runtime.Object, condition func(runtime.Object) bool,
) error {
	one := fields.OneTermEqualSelector(metav1.ObjectNameField, name)
	list := cache.NewListWatchFromClient(client, resource, namespace, one)
	_, err := watchtools.UntilWithSync(ctx, list, kind, nil, func(event watch.Event) (bool, error) {
		return event.Type != watch.Deleted && condition(event.Object), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s %s: %w", resource, name, err)
	}
	return nil
}

// isReady is true for a node that takes pods. The API server remembers a node that was
// ready before a reboot, so kubelet must have said so since.
func isReady(since time.Time) func(runtime.Object) bool {
	since = since.Truncate(time.Second) // as precise as the API's times are
	return func(object runtime.Object) bool {
		node, ok := object.(*corev1.Node)
		if !ok || len(node.Spec.Taints) > 0 {
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
