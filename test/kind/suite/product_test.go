package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

const (
	driverName = release + "-driver"
	coreName   = release + "-core"
)

// annotation is the patch that sets one, on a pod or an object's pod template.
func annotation(template bool, name, value string) []byte {
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]string{"leoflow.io/" + name: value}}}
	if template {
		patch = map[string]any{"spec": map[string]any{"template": patch}}
	}
	content, _ := json.Marshal(patch) // of maps and strings alone
	return content
}

// restartCore makes core begin with what is stored now.
func (p *product) restartCore(ctx context.Context) error {
	patch := annotation(true, "restarted", time.Now().Format(time.RFC3339Nano))
	_, err := p.client.AppsV1().Deployments(namespace).Patch(ctx, coreName, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return p.awaitCore(ctx)
}

// scaleCore takes core away, or brings it back.
func (p *product) scaleCore(ctx context.Context, replicas int32) error {
	_, err := p.client.AppsV1().Deployments(namespace).UpdateScale(ctx, coreName, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: coreName, Namespace: namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	return p.awaitCore(ctx)
}

func (p *product) awaitCore(ctx context.Context) error {
	_, err := await.Deployment(ctx, p.client, namespace, coreName, isRolledOut)
	return err
}

func isRolledOut(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas &&
		d.Status.Replicas == *d.Spec.Replicas && d.Status.AvailableReplicas == *d.Spec.Replicas
}

// rotate gives "rotating" new values. Kubelet would take a minute to look at the changed
// Secret; that a pod of core changes makes it look now.
func (p *product) rotate(ctx context.Context) (variable, connection string, err error) {
	variable, connection = p.entries.rotate()
	if err := p.storeEntries(ctx); err != nil {
		return "", "", err
	}
	pods, err := p.pods(ctx, "core")
	if err != nil {
		return "", "", err
	}
	patch := annotation(false, "stored", strconv.FormatInt(p.stored.Add(1), 10))
	for _, pod := range pods {
		_, err := p.client.CoreV1().Pods(namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return "", "", err
		}
	}
	return variable, connection, nil
}

// awaitDrivers returns once every node has the driver of the newest template. What helm waits
// for is less: it lets one node in ten be without.
func (p *product) awaitDrivers(ctx context.Context) error {
	var last string
	err := await.Until(ctx, func() bool {
		drivers, err := p.client.AppsV1().DaemonSets(namespace).Get(ctx, driverName, metav1.GetOptions{})
		if err != nil {
			last = err.Error()
			return false
		}
		status := drivers.Status
		last = fmt.Sprintf("%d of %d drivers are new and ready", min(status.UpdatedNumberScheduled, status.NumberAvailable), status.DesiredNumberScheduled)
		return status.ObservedGeneration >= drivers.Generation && status.NumberUnavailable == 0 &&
			status.UpdatedNumberScheduled == status.DesiredNumberScheduled && status.NumberMisscheduled == 0
	})
	if err != nil {
		return fmt.Errorf("%s: %w", last, err)
	}
	return nil
}

// pods are those of the driver or of core.
func (p *product) pods(ctx context.Context, component string) ([]corev1.Pod, error) {
	list, err := p.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + component})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// driver is the one on the node.
func (p *product) driver(ctx context.Context, node string) (corev1.Pod, error) {
	pods, err := p.pods(ctx, "driver")
	if err != nil {
		return corev1.Pod{}, err
	}
	for _, pod := range pods {
		if pod.Spec.NodeName == node && pod.DeletionTimestamp == nil {
			return pod, nil
		}
	}
	return corev1.Pod{}, fmt.Errorf("node %s has no driver", node)
}
