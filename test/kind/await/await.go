// Package await waits for objects of the Kubernetes API by watching them.
package await

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

const pollEvery = 200 * time.Millisecond

// Node returns the node once the condition holds for it.
func Node(ctx context.Context, client kubernetes.Interface, name string, condition func(*corev1.Node) bool) (*corev1.Node, error) {
	return one(ctx, source{client.CoreV1().RESTClient(), "nodes", metav1.NamespaceAll, named(name)}, condition)
}

// Pod returns the pod once the condition holds for it.
func Pod(ctx context.Context, client kubernetes.Interface, namespace, name string, condition func(*corev1.Pod) bool) (*corev1.Pod, error) {
	return one(ctx, source{client.CoreV1().RESTClient(), "pods", namespace, named(name)}, condition)
}

// Event returns the event about the pod for which the condition holds.
func Event(ctx context.Context, client kubernetes.Interface, namespace, pod string, condition func(*corev1.Event) bool) (*corev1.Event, error) {
	about := fields.OneTermEqualSelector("involvedObject.name", pod)
	return one(ctx, source{client.CoreV1().RESTClient(), "events", namespace, about}, condition)
}

// ServiceAccount returns the account once it exists.
func ServiceAccount(ctx context.Context, client kubernetes.Interface, namespace, name string) (*corev1.ServiceAccount, error) {
	exists := func(*corev1.ServiceAccount) bool { return true }
	return one(ctx, source{client.CoreV1().RESTClient(), "serviceaccounts", namespace, named(name)}, exists)
}

// Deployment returns the deployment once the condition holds for it.
func Deployment(ctx context.Context, client kubernetes.Interface, namespace, name string, condition func(*appsv1.Deployment) bool) (*appsv1.Deployment, error) {
	return one(ctx, source{client.AppsV1().RESTClient(), "deployments", namespace, named(name)}, condition)
}

// Pods returns the namespace's pods once the condition holds for all of them together.
func Pods(ctx context.Context, client kubernetes.Interface, namespace string, condition func(map[string]*corev1.Pod) bool) (map[string]*corev1.Pod, error) {
	present := map[string]*corev1.Pod{}
	from := source{client.CoreV1().RESTClient(), "pods", namespace, fields.Everything()}
	none := func(store cache.Store) (bool, error) { return len(store.List()) == 0 && condition(present), nil }
	_, err := from.until(ctx, new(corev1.Pod), none, func(event watch.Event) (bool, error) {
		pod, ok := event.Object.(*corev1.Pod)
		switch {
		case !ok:
			return false, nil
		case event.Type == watch.Deleted:
			delete(present, pod.Name)
		default:
			present[pod.Name] = pod
		}
		return condition(present), nil
	})
	return present, err
}

// kind is a type of object whose pointer the API's machinery takes.
type kind[T any] interface {
	*T
	runtime.Object
}

// source is where objects of one kind are watched.
type source struct {
	client              rest.Interface
	resource, namespace string
	selector            fields.Selector
}

func named(name string) fields.Selector {
	return fields.OneTermEqualSelector(metav1.ObjectNameField, name)
}

// one returns the first object for which the condition holds.
func one[T any, K kind[T]](ctx context.Context, from source, condition func(K) bool) (K, error) {
	event, err := from.until(ctx, K(new(T)), nil, func(event watch.Event) (bool, error) {
		object, ok := event.Object.(K)
		return ok && event.Type != watch.Deleted && condition(object), nil
	})
	if err != nil {
		return nil, err
	}
	return event.Object.(K), nil
}

func (s source) until(ctx context.Context, object runtime.Object, before watchtools.PreconditionFunc,
	condition watchtools.ConditionFunc,
) (*watch.Event, error) {
	list := cache.NewListWatchFromClient(s.client, s.resource, s.namespace, s.selector)
	event, err := watchtools.UntilWithSync(ctx, list, object, before, condition)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("waiting for %s %s: %w", s.resource, s.selector, err)
	}
	return event, nil
}

// Until returns once the condition, which nothing tells of, holds.
func Until(ctx context.Context, condition func() bool) error {
	return wait.PollUntilContextCancel(ctx, pollEvery, true, func(context.Context) (bool, error) { return condition(), nil })
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
