// Package await waits for objects of the Kubernetes API by watching them.
package await

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// Node returns the node once the condition holds for it.
func Node(ctx context.Context, client kubernetes.Interface, name string, condition func(*corev1.Node) bool) (*corev1.Node, error) {
	return object(ctx, client.CoreV1().RESTClient(), "nodes", metav1.NamespaceAll, name, condition)
}

// Pod returns the pod once the condition holds for it.
func Pod(ctx context.Context, client kubernetes.Interface, namespace, name string, condition func(*corev1.Pod) bool) (*corev1.Pod, error) {
	return object(ctx, client.CoreV1().RESTClient(), "pods", namespace, name, condition)
}

// ServiceAccount returns the account once it exists.
func ServiceAccount(ctx context.Context, client kubernetes.Interface, namespace, name string) (*corev1.ServiceAccount, error) {
	exists := func(*corev1.ServiceAccount) bool { return true }
	return object(ctx, client.CoreV1().RESTClient(), "serviceaccounts", namespace, name, exists)
}

// kind is a type of object whose pointer the API's machinery takes.
type kind[T any] interface {
	*T
	runtime.Object
}

func object[T any, K kind[T]](ctx context.Context, client rest.Interface, resource, namespace, name string,
	condition func(K) bool,
) (K, error) {
	one := fields.OneTermEqualSelector(metav1.ObjectNameField, name)
	list := cache.NewListWatchFromClient(client, resource, namespace, one)
	event, err := watchtools.UntilWithSync(ctx, list, K(new(T)), nil, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(K)
		return ok && event.Type != watch.Deleted && condition(object), nil
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("waiting for %s %s: %w", resource, name, err)
	}
	return event.Object.(K), nil
}

// IsReady holds for a pod whose containers are all ready.
func IsReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// IsDone holds for a pod whose containers have all ended, well or not.
func IsDone(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
