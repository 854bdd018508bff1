package suite

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// operated is core with two replicas, in a namespace of its own that admits nothing privileged.
type operated struct {
	*scenario
	core clustertest.Cluster // in core's namespace
}

func (s *scenario) operated() operated {
	s.Helper()
	core := *s.Cluster
	core.Namespace = chart.Apart
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*chart.Patience)
		defer cancel()
		if err := s.product.MoveCoreBack(ctx, s.product.entries.all()); err != nil {
			s.Errorf("bringing core back: %v", err)
		}
	})
	require.NoError(s, s.product.MoveCoreApart(s.Ctx, s.product.entries.all()))
	return operated{s, core}
}

// in has what fails be the failure of one subtest.
func (o operated) in(t *testing.T) operated {
	o.scenario = o.scenario.in(t)
	return o
}

// pods are core's, both ready.
func (o operated) pods() []string {
	o.Helper()
	var names []string
	_, err := await.Pods(o.Ctx, o.Client, chart.Apart, func(pods map[string]*corev1.Pod) bool {
		names = nil
		for name, pod := range pods {
			if pod.DeletionTimestamp != nil || !await.IsReady(pod) {
				return false
			}
			names = append(names, name)
		}
		return len(names) == 2
	})
	require.NoError(o, err)
	return names
}

// keys are what core keeps of its certificate.
func (o operated) keys() map[string][]byte {
	o.Helper()
	secret, err := o.Client.CoreV1().Secrets(chart.Apart).Get(o.Ctx, chart.CoreName+"-authority", metav1.GetOptions{})
	require.NoError(o, err)
	return secret.Data
}

// evict asks once for what 'kubectl drain' asks for.
func (o operated) evict(pod string) error {
	return o.Client.PolicyV1().Evictions(chart.Apart).Evict(o.Ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: chart.Apart}})
}

// drain asks until the pod is evicted, as 'kubectl drain' does: the disruption
// budget counts a pod some time after the pod is ready.
func (o operated) drain(pod string) {
	o.Helper()
	var err error
	assert.NoError(o, await.Until(o.Ctx, func() bool {
		err = o.evict(pod)
		return !apierrors.IsTooManyRequests(err)
	}))
	require.NoError(o, err)
}

// look has kubelet hand what has changed to core's pods.
func (o operated) look() {
	o.Helper()
	for _, pod := range o.pods() {
		patch := chart.Annotation(false, "looked", time.Now().Format(time.RFC3339Nano))
		_, err := o.Client.CoreV1().Pods(chart.Apart).Patch(o.Ctx, pod, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		require.NoError(o, err)
	}
}

// One test for all of it, since each move of core takes a minute.
func TestCoreIsOperated(t *testing.T) {
	s := beginIn(t, clustertest.Space{Patience: 8 * time.Minute})
	o := s.operated()
	s.Run(task("before", all(), stays), await.IsReady)
	t.Run("its certificate is renewed under running pods", func(t *testing.T) { o.in(t).renew() })
	t.Run("replicas are evicted one by one while pods start", func(t *testing.T) { o.in(t).evictUnderStarts() })
	t.Run("what runs is told by the new certificate", func(t *testing.T) {
		variable, _ := s.product.entries.rotate()
		require.NoError(t, s.product.MoveCoreApart(s.Ctx, s.product.entries.all()))
		o.look()
		s.awaitVariable("before", variable)
	})
	t.Run("core why", func(t *testing.T) {
		said := o.core.Exec(o.pods()[0], "/core", "why", "--rules=/etc/leoflow/rules", "--entries=/etc/leoflow/teams", "--connections=/etc/leoflow/entries/connections.json",
			"--seal-key-file=/etc/leoflow/seal/key", s.Namespace+"/default", "warehouse")
		assert.Regexp(t, `(?m)^team +`+chart.Team+`$`, said)
		assert.Regexp(t, `(?m)^answer +given$`, said)
		for needle, where := range s.product.entries.needles {
			assert.NotContains(t, said, needle, where)
		}
	})
	t.Run("a team is told of its broken file", func(t *testing.T) {
		_, err := s.Client.CoreV1().ConfigMaps(chart.Apart).Create(s.Ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: chart.RulesName}, Data: map[string]string{"rules.yaml": "rules: ["},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		o.look()
		t.Log(s.event(s.Namespace, "of team "+chart.Team+" holds is not in force"))
		s.Run(task("after", all(), stays), await.IsReady)
	})
}

// renew makes core renew its certificate, as docs/install.md says; Helm's doings leave it alone.
func (o operated) renew() {
	o.Helper()
	before := o.keys()
	_, err := o.Client.CoreV1().Secrets(chart.Apart).Patch(o.Ctx, chart.CoreName+"-authority", types.MergePatchType,
		[]byte(`{"data": {"tls.crt": null, "tls.key": null}}`), metav1.PatchOptions{})
	require.NoError(o, err)
	require.NoError(o, o.product.MoveCoreApart(o.Ctx, o.product.entries.all()))
	_, err = chart.Helm(o.Ctx, nil, "rollback", chart.Name, "--namespace", chart.Namespace, "--wait", "--timeout", chart.Patience.String())
	require.NoError(o, err)
	var after map[string][]byte
	require.NoError(o, await.Until(o.Ctx, func() bool {
		after = o.keys()
		return len(after["tls.crt"]) > 0
	}))
	assert.NotEqual(o, before["tls.crt"], after["tls.crt"])
	assert.NotEqual(o, before["tls.key"], after["tls.key"])
	for _, key := range []string{"ca.crt", "ca.key", "version.key"} {
		assert.NotEmpty(o, after[key], key)
		assert.Equal(o, before[key], after[key], key)
	}
	given, err := o.Client.CoreV1().ConfigMaps(chart.Namespace).Get(o.Ctx, chart.CoreName+"-ca", metav1.GetOptions{})
	require.NoError(o, err)
	assert.Equal(o, map[string]string{"ca.crt": string(after["ca.crt"])}, given.Data)
	assert.Empty(o, given.BinaryData)
}

// evictUnderStarts takes one replica and then the other while pods start, of which none fails.
func (o operated) evictUnderStarts() {
	o.Helper()
	ctx, stop := context.WithCancel(o.Ctx)
	defer stop()
	started := make(chan []string, 1)
	go func() { started <- o.start(ctx) }()
	for range 2 {
		pods := o.pods()
		o.drain(pods[0])
		err := o.evict(pods[1])
		assert.True(o, apierrors.IsTooManyRequests(err), "%v", err)
	}
	o.pods()
	stop()
	names := <-started
	for _, name := range names {
		assert.Equal(o, corev1.PodSucceeded, o.Await(name, await.IsDone).Status.Phase, name)
	}
	// The token that Kubernetes mounts by itself is refused now and then while its parts do not know yet which node a
	// pod is on, and kubelet tries again.
	events, err := o.Client.CoreV1().Events(o.Namespace).List(o.Ctx, metav1.ListOptions{FieldSelector: "reason=FailedMount"})
	require.NoError(o, err)
	for _, event := range events.Items {
		if ours := `volume "leoflow"`; strings.Contains(event.Message, ours) || !strings.Contains(event.Message, `volume "`) {
			assert.Fail(o, "a start failed", "%s: %s", event.InvolvedObject.Name, event.Message)
		}
	}
	o.Logf("%d pods started while each replica was evicted", len(names))
	assert.Greater(o, len(names), 4, "as good as no start fell into an eviction")
}

// underWay is how many pods start at a time. With no such bound those pile up on a busy machine, and core's next replica
// waits behind them all.
const underWay = 6

// start starts a pod every half second until the context ends, or when an earlier one is done.
func (o operated) start(ctx context.Context) (names []string) {
	ticks := time.NewTicker(500 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return names
		case <-ticks.C:
		}
		if earlier := len(names) - underWay; earlier >= 0 {
			if _, err := await.Pod(ctx, o.Client, o.Namespace, names[earlier], await.IsDone); err != nil {
				return names // whose end is waited for anyway
			}
		}
		pod := task(fmt.Sprint("start-", len(names)), all(), "test -s "+mountPath+"/connections/warehouse")
		if _, err := o.Client.CoreV1().Pods(o.Namespace).Create(o.Ctx, pod, metav1.CreateOptions{}); err != nil {
			o.Errorf("starting a pod: %v", err)
			return names
		}
		names = append(names, pod.Name)
	}
}
