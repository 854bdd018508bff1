package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
	"github.com/leoflow/secrets-csi/test/stack"
)

// store puts a connection into a Secret that one service account may get.
func (c *clouds) store(serviceAccount, id string, data map[string]string) {
	stored := corev1.Secret{Data: map[string][]byte{}}
	stored.ObjectMeta = metav1.ObjectMeta{
		Namespace: "airflow", Name: "connection-" + id, Labels: map[string]string{"secrets.csi.leoflow.io/kind": "connection"},
	}
	for key, value := range data {
		stored.Data[key] = []byte(value)
	}
	c.api.Store(serviceAccount, stored)
}

// secretsPod is a pod that asks the provider "kubernetes", with a token for the API
// server besides those for the clouds.
func (c *clouds) secretsPod(t *testing.T, name, serviceAccount, connections string, expires time.Time) stack.Pod {
	t.Helper()
	signed, err := c.api.Sign(kubetest.Token{
		Namespace: "airflow", ServiceAccount: serviceAccount, Pod: name, PodUID: "uid-" + name,
		Audiences: []string{kubetest.Audience}, Expires: expires,
	})
	require.NoError(t, err)
	p := c.pod(name, serviceAccount, connections)
	p.CloudTokens[""] = signed.Reveal()
	p.Attributes["source"] = "kubernetes"
	return p
}

// A volume may have entries of core and of Secrets, each by the id's own word.
func TestAVolumeOfCoreAndOfKubernetesSecrets(t *testing.T) {
	c := startClouds(t)
	password := cloudNeedle + "-password"
	c.store("a", "discrete", map[string]string{"conn_type": "postgres", "host": "DB", "login": "etl", "password": password})
	p := c.secretsPod(t, "two", "a", "gcs, discrete@kubernetes", time.Now().Add(time.Hour))
	p.Attributes["source"] = "core"
	require.NoError(t, c.Kubelet.Publish(t.Context(), p))
	assert.Contains(t, c.read(t, p, "gcs"), cloudNeedle)
	assert.Contains(t, c.read(t, p, "discrete"), password)
	assert.Equal(t, "core", c.entries(t, p)["gcs"].Source)
	assert.Equal(t, "kubernetes", c.entries(t, p)["discrete"].Source)
}

func TestKubernetesSecretsAreReadWithThePodsOwnToken(t *testing.T) {
	c := startClouds(t)
	later := time.Now().Add(time.Hour)
	password := cloudNeedle + "-password"
	c.store("a", "discrete", map[string]string{"conn_type": "postgres", "host": "DB", "login": "etl", "password": password})
	c.store("a", "whole", map[string]string{"uri": "mysql://u:" + password + "@h:3306/s"})
	c.store("a", "text", map[string]string{"json": `{"conn_type":"http","password":"` + password + `"}`})
	c.store("a", "gcs", map[string]string{"conn_type": "google_cloud_platform", "extra": `{"key_secret_name":"gcs-key","key_secret_project_id":"project"}`})
	c.store("a", "odd", map[string]string{"uri": "mysql://h", "pasword": password})

	p := c.secretsPod(t, "good", "a", "discrete, whole, text, gcs, odd?", later)
	require.NoError(t, c.Kubelet.Publish(t.Context(), p))
	for _, id := range []string{"discrete", "whole", "text"} {
		assert.Contains(t, c.read(t, p, id), password)
	}
	assert.Contains(t, c.read(t, p, "gcs"), cloudNeedle+" of "+principals("a")["gcs"], "a reference from a Secret is resolved too")
	assert.Contains(t, c.entries(t, p)["odd"].Notices[0].Message, `key "pasword" of Secret connection-odd is unknown`)

	for name, row := range map[string]struct {
		pod     stack.Pod
		message string
	}{
		"another's":        {c.secretsPod(t, "other", "b", "whole", later), `connection "whole" is denied to service account airflow/b by kubernetes`},
		"expired":          {c.secretsPod(t, "late", "a", "whole", time.Now().Add(-time.Hour)), "kubernetes refused the token of service account airflow/a"},
		"without any":      {withoutTokens(c.secretsPod(t, "bare", "a", "whole", later)), `kubelet sent no token with audience "": list it under tokenRequests of the CSIDriver`},
		"that is odd":      {c.secretsPod(t, "odd", "a", "odd", later), `key "pasword" of Secret connection-odd is unknown`},
		"of a missing one": {c.secretsPod(t, "missing", "a", "absent", later), `connection "absent"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.Kubelet.Publish(t.Context(), row.pod)
			require.ErrorContains(t, err, row.message)
			assert.False(t, strings.Contains(err.Error(), cloudNeedle))
			assert.NoDirExists(t, c.Kubelet.Target(row.pod))
		})
	}
	c.noNeedle(t)
}

func withoutTokens(p stack.Pod) stack.Pod {
	p.CloudTokens = nil
	return p
}
