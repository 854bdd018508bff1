package suite

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

const (
	namespace   = "leoflow-system"
	release     = "leoflow-secrets-csi"
	entriesName = "leoflow-suite-entries"
	sealKeyName = "leoflow-suite-seal-key"
	jwtKeyName  = "leoflow-suite-jwt-key"
	// installing is how long the chart may take to be there, images being loaded.
	installing = 3 * time.Minute
)

// product is the chart as the suite installs it.
type product struct {
	client  kubernetes.Interface
	entries *entries
	sealKey string
	jwtKey  string // of task instances' tokens
	stored  atomic.Int64
}

// installed is the one installation that all scenarios of a run share.
var installed = sync.OnceValues(install)

// install is an upgrade where the chart is there already, from an earlier run.
func install() (*product, error) {
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
	ctx, cancel := context.WithTimeout(context.Background(), 2*installing)
	defer cancel()
	p := &product{client: client, entries: plant(), sealKey: newKey(), jwtKey: newKey()}
	for _, step := range []func(context.Context) error{p.createNamespace, p.storeKeys, p.storeEntries, p.upgrade, p.restartCore} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("installing the chart: %w", err)
		}
	}
	return p, nil
}

// values are the chart's. More may be given, to upgrade to.
func (p *product) values() map[string]any {
	return map[string]any{
		"image":  map[string]any{"repository": repository(), "tag": tag(), "pullPolicy": "IfNotPresent"},
		"driver": map[string]any{"logLevel": "debug"},
		"referenceCore": map[string]any{
			"secretName": entriesName, "sealKeySecretName": sealKeyName, "jwtKeySecretName": jwtKeyName,
			"rules": rules, "logLevel": "debug",
		},
		"test": map[string]any{"connections": "warehouse", "variables": "region"},
	}
}

// repository and tag are those of the product's images, which must be loaded, unless the
// cluster can pull them.
func repository() string {
	return cmp.Or(os.Getenv("LEOFLOW_IMAGE_REPOSITORY"), "localhost/leoflow/secrets-csi")
}
func tag() string { return cmp.Or(os.Getenv("LEOFLOW_IMAGE_TAG"), "test") }

func (p *product) createNamespace(ctx context.Context) error {
	_, err := p.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"},
	}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (p *product) storeKeys(ctx context.Context) error {
	return errors.Join(
		p.storeSecret(ctx, sealKeyName, map[string][]byte{"key": []byte(p.sealKey)}),
		p.storeSecret(ctx, jwtKeyName, map[string][]byte{"key": []byte(p.jwtKey)}),
	)
}

func (p *product) storeEntries(ctx context.Context) error {
	files, err := p.entries.sealed(p.sealKey)
	if err != nil {
		return err
	}
	return p.storeSecret(ctx, entriesName, files)
}

func (p *product) storeSecret(ctx context.Context, name string, data map[string][]byte) error {
	object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: data}
	secrets := p.client.CoreV1().Secrets(namespace)
	_, err := secrets.Create(ctx, object, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = secrets.Update(ctx, object, metav1.UpdateOptions{})
	}
	return err
}

func (p *product) upgrade(ctx context.Context) error { return p.upgradeTo(ctx, p.values()) }

// upgradeTo installs the chart with these values, and waits until all of it is ready.
func (p *product) upgradeTo(ctx context.Context, values map[string]any) error {
	content, err := json.Marshal(values)
	if err != nil {
		return err
	}
	_, err = helm(ctx, content, "upgrade", "--install", release, "charts/leoflow-secrets-csi",
		"--namespace", namespace, "--values", "-", "--wait", "--timeout", installing.String())
	if err != nil {
		return err
	}
	return p.awaitDrivers(ctx)
}

// root is the project's directory.
const root = "../../.."

// helmProgram is the real one, from its Go module. To build it takes minutes the first
// time, which are nobody's patience.
var helmProgram = sync.OnceValues(func() (string, error) {
	command := exec.Command("go", "-C", root, "tool", "-modfile=tools/helm.mod", "-n", "helm")
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("building helm: %w", err)
	}
	return strings.TrimSpace(string(output)), nil
})

func helm(ctx context.Context, stdin []byte, args ...string) (string, error) {
	program, err := helmProgram()
	if err != nil {
		return "", err
	}
	kubeconfig, err := filepath.Abs(os.Getenv("KUBECONFIG"))
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = root
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	command.Stdin = bytes.NewReader(stdin)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", args[0], err, output)
	}
	return string(output), nil
}
