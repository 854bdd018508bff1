// Package suite is the conformance suite: it installs the chart in the cluster that
// KUBECONFIG names, and holds it to what the documents promise. Each test is a scenario
// that runs alone, too. The product's images and the busybox of kind.sh must be loaded.
//
//	go test ./suite -run TestRotation
package suite

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// How long a scenario may take, on a machine that compiles something else meanwhile, and
// how long a measurement.
const (
	patience          = 4 * time.Minute
	patienceToMeasure = 15 * time.Minute
)

// scenario is one test's view of a cluster that has the product.
type scenario struct {
	*clustertest.Cluster
	product *product
}

// begin installs the product, if no scenario before did.
func begin(t testing.TB) *scenario { return beginIn(t, clustertest.Space{Patience: patience}) }

// beginIn wants a namespace of its own kind.
func beginIn(t testing.TB, space clustertest.Space) *scenario {
	t.Helper()
	product, err := installed()
	require.NoError(t, err)
	space.Prefix = "leoflow-suite-"
	s := &scenario{clustertest.Connect(t, space), product}
	t.Cleanup(s.explain)
	return s
}

// in has what fails be the failure of one subtest.
func (s *scenario) in(t *testing.T) *scenario {
	cluster, made := *s.Cluster, *s
	cluster.TB, made.Cluster = t, &cluster
	return &made
}

// explain says what the product and the cluster said, if the test failed.
func (s *scenario) explain() {
	if !s.Failed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.TellEvents(ctx)
	for _, component := range []string{"driver", "core"} {
		s.Logf("log of %s:\n%s", component, s.lastOf(ctx, component))
	}
}

// account makes a service account besides the namespace's default.
func (s *scenario) account(name string) {
	s.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := s.Client.CoreV1().ServiceAccounts(s.Namespace).Create(s.Ctx, account, metav1.CreateOptions{})
	require.NoError(s, err)
}

// event returns the message of the first event about the pod that has all the words.
func (s *scenario) event(pod string, words ...string) string {
	s.Helper()
	event, err := await.Event(s.Ctx, s.Client, s.Namespace, pod, func(event *corev1.Event) bool {
		return containsAll(event.Message, words)
	})
	require.NoError(s, err)
	return event.Message
}

// gone deletes the pod, and returns when nothing of it is left in the API.
func (s *scenario) gone(pod string) {
	s.Helper()
	require.NoError(s, s.Client.CoreV1().Pods(s.Namespace).Delete(s.Ctx, pod, metav1.DeleteOptions{}))
	_, err := await.Pods(s.Ctx, s.Client, s.Namespace, func(pods map[string]*corev1.Pod) bool { return pods[pod] == nil })
	require.NoError(s, err)
}
