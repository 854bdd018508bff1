package chart

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/leoflow/secrets-csi/internal/coreserver/seal"
	"github.com/leoflow/secrets-csi/internal/coreserver/sealfile"
	"github.com/leoflow/secrets-csi/pkg/secret"
	"github.com/leoflow/secrets-csi/test/kind/await"
)

// Entries are what core has, as its files say it.
type Entries struct {
	Connections map[string]any
	Variables   map[string]string
}

// sealed are core's two files, with every value sealed: core reads them from a Secret, and so
// they lie in etcd.
func (e Entries) sealed(key string) (map[string][]byte, error) {
	opener, err := seal.ParseKey(secret.New(key))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for file, of := range map[string]struct {
		entries any
		seal    func(*seal.Key, string, []byte) ([]byte, error)
	}{
		"connections.json": {e.Connections, sealfile.Connections},
		"variables.json":   {e.Variables, sealfile.Variables},
	} {
		content, err := json.Marshal(of.entries)
		if err != nil {
			return nil, err
		}
		if files[file], err = of.seal(opener, file, content); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func newKey() string {
	raw := make([]byte, seal.KeySize)
	_, _ = rand.Read(raw) // never fails
	return base64.StdEncoding.EncodeToString(raw)
}

// store gives core in the namespace its keys and these entries.
func (r *Release) store(ctx context.Context, namespace string, entries Entries) error {
	files, err := entries.sealed(r.sealKey)
	if err != nil {
		return err
	}
	secrets := r.Client.CoreV1().Secrets(namespace)
	for name, data := range map[string]map[string][]byte{
		entriesName: files, sealKeyName: {"key": []byte(r.sealKey)}, jwtKeyName: {"key": []byte(r.JWTKey)},
	} {
		object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: data}
		_, err := secrets.Create(ctx, object, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			_, err = secrets.Update(ctx, object, metav1.UpdateOptions{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Store gives core these entries in place of those that it has. Kubelet would take a minute to
// look at the changed Secret; that a pod of core changes makes it look now.
func (r *Release) Store(ctx context.Context, entries Entries) error {
	if err := r.store(ctx, Namespace, entries); err != nil {
		return err
	}
	return r.haveCoreLook(ctx)
}

// StoreRules gives core these rules in place of the chart's. Helm brings those back.
func (r *Release) StoreRules(ctx context.Context, rules []map[string]any) error {
	text, err := json.Marshal(map[string]any{"rules": rules}) // which is YAML
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"rules.yaml": string(text)}})
	if err != nil {
		return err
	}
	_, err = r.Client.CoreV1().ConfigMaps(Namespace).Patch(ctx, CoreName+"-rules", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return r.haveCoreLook(ctx)
}

func (r *Release) haveCoreLook(ctx context.Context) error {
	pods, err := r.Pods(ctx, "core")
	if err != nil {
		return err
	}
	patch := Annotation(false, "stored", strconv.FormatInt(r.stored.Add(1), 10))
	for _, pod := range pods {
		_, err := r.Client.CoreV1().Pods(Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			return err
		}
	}
	return nil
}

// RestartCore makes core begin with what is stored now, and waits until no other answers: one that ends goes on
// for a moment.
func (r *Release) RestartCore(ctx context.Context) error {
	before, err := r.Pods(ctx, "core")
	if err != nil {
		return err
	}
	patch := Annotation(true, "restarted", time.Now().Format(time.RFC3339Nano))
	_, err = r.Client.AppsV1().Deployments(Namespace).Patch(ctx, CoreName, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err == nil {
		err = r.AwaitCore(ctx)
	}
	if err != nil {
		return err
	}
	return await.Until(ctx, func() bool {
		now, err := r.Pods(ctx, "core")
		return err == nil && !slices.ContainsFunc(now, func(pod corev1.Pod) bool {
			return slices.ContainsFunc(before, func(old corev1.Pod) bool { return old.UID == pod.UID })
		})
	})
}

// ScaleCore takes core away, or brings it back.
func (r *Release) ScaleCore(ctx context.Context, replicas int32) error {
	_, err := r.Client.AppsV1().Deployments(Namespace).UpdateScale(ctx, CoreName, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: CoreName, Namespace: Namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	return r.AwaitCore(ctx)
}

// Annotation is the patch that sets one, on a pod or an object's pod template.
func Annotation(template bool, name, value string) []byte {
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]string{"leoflow.io/" + name: value}}}
	if template {
		patch = map[string]any{"spec": map[string]any{"template": patch}}
	}
	content, _ := json.Marshal(patch) // of maps and strings alone
	return content
}
