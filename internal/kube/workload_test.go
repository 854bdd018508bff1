package kube_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
)

func TestPodsWithAVolumeOfTheDriverAreFoundOnEveryPage(t *testing.T) {
	const volume = `"spec":{"volumes":[{"emptyDir":{}},{"csi":{"driver":%q}}]}`
	pod := func(name, driver, phase string) string {
		return fmt.Sprintf(`{"metadata":{"namespace":"a","name":%q},`+volume+`,"status":{"phase":%q}}`, name, driver, phase)
	}
	server, config := start(t)
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/pods", r.URL.Path)
		assert.Equal(t, "500", r.URL.Query().Get("limit"))
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("continue") == "" {
			_, _ = fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"continue":"more"},"items":[%s,%s,%s]}`,
				pod("runs", "ours", "Running"), pod("other", "theirs", "Running"), pod("ended", "ours", "Succeeded"))
			return
		}
		_, _ = fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[%s,%s,{"metadata":{"namespace":"a","name":"none"}}]}`,
			pod("waits", "ours", "Pending"), pod("failed", "ours", "Failed"))
	})
	workloads, err := kube.NewWorkloads(config)
	require.NoError(t, err)
	pods, err := workloads.PodsWithVolume(t.Context(), "ours")
	require.NoError(t, err)
	assert.Equal(t, []string{"a/runs", "a/waits"}, pods)

	server.Answer(func(w http.ResponseWriter, _ *http.Request) {
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	_, err = workloads.PodsWithVolume(t.Context(), "ours")
	assert.EqualError(t, err, "listing pods: the API server does not let this program list pods: its service account has a role for that (403)")
}

func TestARolloutIsDoneWhenEveryNodeHasTheNewestPodReady(t *testing.T) {
	for status, done := range map[string]bool{
		`"observedGeneration":2,"desiredNumberScheduled":3,"updatedNumberScheduled":3,"numberAvailable":3`: true,
		`"observedGeneration":2,"desiredNumberScheduled":0`:                                                true,
		`"observedGeneration":1,"desiredNumberScheduled":3,"updatedNumberScheduled":3,"numberAvailable":3`: false,
		`"observedGeneration":2,"desiredNumberScheduled":3,"updatedNumberScheduled":2,"numberAvailable":3`: false,
		`"observedGeneration":2,"desiredNumberScheduled":1,"updatedNumberScheduled":1`:                     false,
		``: false,
	} {
		rollout := rolloutOf(t, "RollingUpdate", status)
		assert.Equal(t, done, rollout.Done(), status)
	}
	old := `"observedGeneration":2,"desiredNumberScheduled":3,"numberAvailable":3`
	assert.True(t, rolloutOf(t, "OnDelete", old).Done(), "an old driver serves until somebody deletes it")
	assert.False(t, rolloutOf(t, "RollingUpdate", old).Done())
}

func rolloutOf(t *testing.T, strategy, status string) kube.Rollout {
	t.Helper()
	server, config := start(t)
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/apis/apps/v1/namespaces/leoflow/daemonsets/driver", r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"metadata":{"generation":2},"spec":{"updateStrategy":{"type":%q}},"status":{%s}}`, strategy, status)
	})
	workloads, err := kube.NewWorkloads(config)
	require.NoError(t, err)
	rollout, err := workloads.Rollout(t.Context(), "leoflow", "driver")
	require.NoError(t, err)
	return rollout
}
