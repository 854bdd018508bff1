package chart

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"sigs.k8s.io/yaml"
)

// The drivers must be able to check the certificate by the name that they call.
func TestGeneratedCertificateFitsTheAddress(t *testing.T) {
	files := mustRender(t, newest, nil)
	data := find[*corev1.Secret](t, files, "Secret", "-core-certificate").Data
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(data["ca.crt"]))
	host, _, err := net.SplitHostPort(driverFlags(t, files)["core-address"])
	require.NoError(t, err)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	assert.NoError(t, err)
	assert.Greater(t, time.Until(pair.Leaf.NotAfter), 9*365*24*time.Hour)
}

// objects are a cluster that holds some already.
type objects struct{ client dynamic.Interface }

func (o objects) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	version, err := schema.ParseGroupVersion(apiVersion)
	return o.client.Resource(version.WithResource(strings.ToLower(kind) + "s")), true, err
}

// A new certificate at every upgrade would cut off the drivers that know the old one.
func TestUpgradeKeepsTheCertificate(t *testing.T) {
	empty := objects{fake.NewSimpleDynamicClient(runtime.NewScheme())}
	installed := newest
	installed.objects = empty
	first := find[*corev1.Secret](t, mustRender(t, installed, nil), "Secret", "-core-certificate")
	text, err := yaml.Marshal(first)
	require.NoError(t, err)
	kept := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal(text, kept))
	_, err = empty.client.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace("secrets").
		Create(t.Context(), kept, metav1.CreateOptions{})
	require.NoError(t, err)

	second := find[*corev1.Secret](t, mustRender(t, installed, nil), "Secret", "-core-certificate")
	assert.Equal(t, first.Data, second.Data)
}

// Helm keeps what it rendered, and a rollback applies it again: a key among that would come back
// after it was replaced. It runs no hooks of installs and upgrades.
func TestARollbackBringsBackNoKey(t *testing.T) {
	certificate := find[*corev1.Secret](t, mustRender(t, newest, nil), "Secret", "-core-certificate")
	assert.Equal(t, "pre-install,pre-upgrade", certificate.Annotations["helm.sh/hook"])
	assert.Equal(t, "keep", certificate.Annotations["helm.sh/resource-policy"])
}

// driverFlags are the driver's arguments by the flag's name.
func driverFlags(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	flags := map[string]string{}
	for _, argument := range find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver").Spec.Template.Spec.Containers[0].Args {
		name, value, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		flags[name] = value
	}
	return flags
}
