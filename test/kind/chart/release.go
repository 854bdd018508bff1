// Package chart installs the chart in the cluster of a test and changes what core has.
package chart

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// Where the release is, and what Helm calls it and its parts.
const (
	Namespace  = "leoflow-system"
	Name       = "leoflow-secrets-csi"
	DriverName = Name + "-driver"
	CoreName   = Name + "-core"
)

const (
	entriesName = "leoflow-suite-entries"
	sealKeyName = "leoflow-suite-seal-key"
	jwtKeyName  = "leoflow-suite-jwt-key"
	// Patience is how long the chart may take to be there, images being loaded.
	Patience = 3 * time.Minute
)

// Release is the one installation that all tests of a run share.
type Release struct {
	Client  kubernetes.Interface
	JWTKey  string // of task instances' tokens
	rules   []map[string]any
	sealKey string
	stored  atomic.Int64
}

// Install is an upgrade where the chart is there already, from an earlier run.
func Install(entries Entries, rules []map[string]any) (*Release, error) {
	config, err := clustertest.Config()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	if _, err := helmProgram(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience)
	defer cancel()
	r := &Release{Client: client, JWTKey: newKey(), rules: rules, sealKey: newKey()}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return r.createNamespace(ctx, Namespace, "privileged") },
		func(ctx context.Context) error { return r.store(ctx, Namespace, entries) },
		func(ctx context.Context) error { return r.Upgrade(ctx, nil) }, r.RestartCore,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("installing the chart: %w", err)
		}
	}
	return r, nil
}

// repository and tag are those of the product's images, which must be loaded, unless the
// cluster can pull them.
func repository() string {
	return cmp.Or(os.Getenv("LEOFLOW_IMAGE_REPOSITORY"), "localhost/leoflow/secrets-csi")
}
func tag() string { return cmp.Or(os.Getenv("LEOFLOW_IMAGE_TAG"), "test") }

// Agent is the agent's image.
func Agent() string { return repository() + "/agent:" + tag() }

// Driver is the image with driver and fetcher.
func Driver() string { return repository() + "/driver:" + tag() }

// createNamespace makes one that admits pods of that level.
func (r *Release) createNamespace(ctx context.Context, name, level string) error {
	_, err := r.Client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": level},
	}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// values are the chart's as tests install it.
func (r *Release) values() map[string]any {
	return map[string]any{
		"image":  map[string]any{"repository": repository(), "tag": tag(), "pullPolicy": "IfNotPresent"},
		"driver": map[string]any{"logLevel": "debug"},
		"referenceCore": map[string]any{
			"secretName": entriesName, "sealKeySecretName": sealKeyName, "jwtKeySecretName": jwtKeyName,
			"rules": r.rules, "logLevel": "debug", "allowEmpty": true,
		},
		"test": map[string]any{"connections": "warehouse", "variables": "region"},
	}
}

// Upgrade installs the chart with these values in place of some of its own, and waits until
// all of it is ready.
func (r *Release) Upgrade(ctx context.Context, others map[string]any) error {
	values := r.values()
	maps.Copy(values, others)
	content, err := json.Marshal(values)
	if err != nil {
		return err
	}
	_, err = Helm(ctx, content, "upgrade", "--install", Name, "charts/leoflow-secrets-csi",
		"--namespace", Namespace, "--values", "-", "--wait", "--timeout", Patience.String())
	if err != nil {
		return err
	}
	return r.AwaitDrivers(ctx)
}

// AwaitCore returns once core is as its Deployment says.
func (r *Release) AwaitCore(ctx context.Context) error {
	_, err := await.Deployment(ctx, r.Client, Namespace, CoreName, IsRolledOut)
	return err
}

// IsRolledOut holds for a Deployment whose pods are all of its newest template, and ready.
func IsRolledOut(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas &&
		d.Status.Replicas == *d.Spec.Replicas && d.Status.AvailableReplicas == *d.Spec.Replicas
}

// AwaitDrivers returns once every node has the driver of the newest template. What helm waits
// for is less: it lets one node in ten be without.
func (r *Release) AwaitDrivers(ctx context.Context) error {
	var last string
	err := await.Until(ctx, func() bool {
		drivers, err := r.Client.AppsV1().DaemonSets(Namespace).Get(ctx, DriverName, metav1.GetOptions{})
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

// Pods are those of the driver or of core.
func (r *Release) Pods(ctx context.Context, component string) ([]corev1.Pod, error) {
	list, err := r.Client.CoreV1().Pods(Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + component})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
