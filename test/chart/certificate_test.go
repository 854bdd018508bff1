package chart

import (
	"encoding/pem"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// The drivers must be able to check the certificate by the name that they call.
func TestCoreMakesACertificateForTheAddress(t *testing.T) {
	for _, values := range []string{"{}", "{referenceCore: {namespace: core}}"} {
		files := mustRender(t, newest, readValues(t, values))
		host, _, err := net.SplitHostPort(driverFlags(t, files)["core-address"])
		require.NoError(t, err)
		flags := flagsIn(find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec.Template.Spec)
		assert.Equal(t, host+","+host+".cluster.local", flags["certificate-names"])
	}
}

// What Helm renders it keeps, and a rollback applies again: a key among that would come back after it
// was replaced. What an upgrade renders it would also put in the place of what core has written.
func TestHelmHasNoKeyAndTouchesNone(t *testing.T) {
	files := mustRender(t, newest, nil)
	kept := find[*corev1.Secret](t, files, "Secret", "-core-authority")
	assert.Empty(t, kept.Data)
	assert.Empty(t, kept.StringData)
	assert.Empty(t, kept.Annotations)
	assert.Equal(t, corev1.SecretTypeOpaque, kept.Type, "any other wants keys from the start")
	assert.Empty(t, find[*corev1.ConfigMap](t, files, "ConfigMap", "-core-ca").Data)
	assert.Equal(t, manifests(files), manifests(mustRender(t, newest, nil)), "nothing is made anew")
	for _, document := range manifests(files) {
		block, _ := pem.Decode([]byte(document))
		assert.Nil(t, block)
	}
}

// Core may change two objects, and make none: a Secret that it made itself could be one that
// Kubernetes puts the token of another account into.
func TestCoreMayChangeItsOwnCertificateAlone(t *testing.T) {
	for _, row := range []struct{ values, ofCore string }{{"{}", "secrets"}, {"{referenceCore: {namespace: core}}", "core"}} {
		files := mustRender(t, newest, readValues(t, row.values))
		flags := flagsIn(find[*appsv1.Deployment](t, files, "Deployment", "-core").Spec.Template.Spec)
		own := find[*rbacv1.Role](t, files, "Role", "-core-authority")
		assert.Equal(t, flags["certificate-secret"], own.Namespace+"/"+own.Rules[0].ResourceNames[0])
		assert.Equal(t, flags["certificate-former"], own.Namespace+"/"+own.Rules[1].ResourceNames[0])
		assert.Equal(t, []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"leoflow-core-authority"}, Verbs: []string{"get", "patch"}},
			{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"leoflow-core-certificate"}, Verbs: []string{"get"}},
		}, own.Rules)
		trust := find[*rbacv1.Role](t, files, "Role", "-core-ca")
		assert.Equal(t, flags["certificate-trust"], trust.Namespace+"/"+trust.Rules[0].ResourceNames[0])
		assert.Equal(t, []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"leoflow-core-ca"}, Verbs: []string{"get", "patch"}},
		}, trust.Rules)
		for _, name := range []string{"-core-authority", "-core-ca"} {
			binding := find[*rbacv1.RoleBinding](t, files, "RoleBinding", name)
			assert.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: "leoflow-core", Namespace: row.ofCore}}, binding.Subjects)
			assert.Equal(t, "leoflow"+name, binding.RoleRef.Name)
		}
	}
	for _, values := range []string{"{core: {address: a:1}}", "{referenceCore: {tls: {source: secret, secretName: s}}}"} {
		for _, document := range manifests(mustRender(t, newest, readValues(t, values))) {
			assert.NotContains(t, document, "core-authority")
		}
	}
}

// A node may read the Secrets of the pods that run there. Drivers run on every node.
func TestDriversMountNoSecretOfCores(t *testing.T) {
	for _, values := range []string{"{}", "{referenceCore: {namespace: core}}"} {
		files := mustRender(t, newest, readValues(t, values))
		for _, volume := range find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver").Spec.Template.Spec.Volumes {
			assert.Nil(t, volume.Secret, volume.Name)
			if volume.Name == "core-ca" {
				assert.Equal(t, "leoflow-core-ca", volume.ConfigMap.Name)
			}
		}
	}
}

// The first pod of core finds the Secret empty; and no pod has the key that signs.
func TestCoresPodHasACopyOfWhatItServesWith(t *testing.T) {
	spec := find[*appsv1.Deployment](t, mustRender(t, newest, nil), "Deployment", "-core").Spec.Template.Spec
	for _, volume := range spec.Volumes {
		if volume.Name != "tls" {
			continue
		}
		assert.Equal(t, "leoflow-core-authority", volume.Secret.SecretName)
		assert.True(t, *volume.Secret.Optional)
		var keys []string
		for _, item := range volume.Secret.Items {
			keys = append(keys, item.Key)
		}
		assert.Equal(t, []string{"ca.crt", "tls.crt", "tls.key", "version.key"}, keys)
		assert.Equal(t, "/etc/leoflow/tls", flagsIn(spec)["certificate-copy"])
		return
	}
	assert.Fail(t, "there is no such volume")
}

// driverFlags are the arguments of driver and fetcher by the flag's name.
func driverFlags(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	return flagsIn(find[*appsv1.DaemonSet](t, files, "DaemonSet", "-driver").Spec.Template.Spec)
}

func flagsIn(pod corev1.PodSpec) map[string]string {
	flags := map[string]string{}
	for _, container := range pod.Containers {
		for _, argument := range container.Args {
			name, value, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
			flags[name] = value
		}
	}
	return flags
}
