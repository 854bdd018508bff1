// Package clustertest gives a test a namespace of its own in the cluster that KUBECONFIG
// names. The images of package image must be loaded there.
package clustertest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/leoflow/secrets-csi/test/kind/await"
)

// Cluster is one test's view of the cluster.
type Cluster struct {
	testing.TB
	Ctx       context.Context
	Config    *rest.Config
	Client    kubernetes.Interface
	Namespace string
}

// Space is the namespace that a test wants.
type Space struct {
	Prefix string // of its name
	Labels map[string]string
	// Patience is how long the whole test may take.
	Patience time.Duration
}

// Connect makes the namespace, which is deleted at the end of the test.
func Connect(t testing.TB, space Space) *Cluster {
	t.Helper()
	config, err := Config()
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), space.Patience)
	t.Cleanup(cancel)
	c := &Cluster{TB: t, Ctx: ctx, Config: config, Client: client}
	c.createNamespace(space)
	return c
}

// Config is that of the cluster. No limit holds the client back: how long the cluster
// takes is what some tests measure.
func Config() (*rest.Config, error) {
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		return nil, errors.New("KUBECONFIG names no cluster; 'make kind-test' makes one, and ./kind.sh runs any command with one")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

func (c *Cluster) createNamespace(space Space) {
	namespaces := c.Client.CoreV1().Namespaces()
	created, err := namespaces.Create(c.Ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: space.Prefix, Labels: space.Labels},
	}, metav1.CreateOptions{})
	require.NoError(c, err)
	c.Namespace = created.Name
	c.Cleanup(func() {
		// The test's own context is done by now.
		if err := namespaces.Delete(context.Background(), c.Namespace, metav1.DeleteOptions{}); err != nil {
			c.Errorf("deleting the test's namespace: %v", err)
		}
	})
	_, err = await.ServiceAccount(c.Ctx, c.Client, c.Namespace, "default")
	require.NoError(c, err)
}

// TellEvents logs the events of the namespace.
func (c *Cluster) TellEvents(ctx context.Context) {
	events, err := c.Client.CoreV1().Events(c.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		c.Logf("there are no events to show: %v", err)
		return
	}
	for _, event := range events.Items {
		c.Logf("%s %s: %s", event.InvolvedObject.Name, event.Reason, event.Message)
	}
}
