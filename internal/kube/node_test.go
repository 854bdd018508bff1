package kube_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/leoflow/secrets-csi/internal/kube"
	"github.com/leoflow/secrets-csi/internal/kube/kubetest"
)

func TestATaintIsTakenOffAndNothingElse(t *testing.T) {
	server, config := start(t)
	taints, version, conflicts := `[{"key":"other","effect":"NoSchedule","later":"field"},{"key":"ours","effect":"NoExecute"},{"key":"ours","value":"x","effect":"NoSchedule"}]`, 1, 2
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/nodes/worker", r.URL.Path)
		if r.Method == http.MethodPatch {
			text, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			if version++; conflicts > 0 { // somebody was faster
				conflicts--
				kubetest.Refuse(w, http.StatusConflict, metav1.StatusReasonConflict)
				return
			}
			var patch struct {
				Metadata map[string]string
				Spec     map[string]json.RawMessage
			}
			assert.NoError(t, json.Unmarshal(text, &patch))
			assert.Equal(t, map[string]string{"resourceVersion": fmt.Sprint(version - 1)}, patch.Metadata)
			assert.Len(t, patch.Spec, 1)
			taints = string(patch.Spec["taints"])
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"kind":"Node","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"spec":{"taints":%s}}`, version, taints)
	})
	nodes, err := kube.NewNodes(config)
	require.NoError(t, err)
	removed, err := nodes.RemoveTaint(t.Context(), "worker", "ours")
	require.NoError(t, err)
	assert.True(t, removed)
	assert.JSONEq(t, `[{"key":"other","effect":"NoSchedule","later":"field"}]`, taints)
	removed, err = nodes.RemoveTaint(t.Context(), "worker", "ours")
	require.NoError(t, err)
	assert.False(t, removed, "there is none any more")

	server.Answer(func(w http.ResponseWriter, _ *http.Request) {
		kubetest.Refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	_, err = nodes.RemoveTaint(t.Context(), "worker", "ours")
	assert.EqualError(t, err, "the API server does not let this program get or patch nodes: its service account has a role for that, and an admission policy lets it change its own node alone (403)")
	_, err = nodes.HasDriver(t.Context(), "worker", "d")
	assert.EqualError(t, err, "the API server does not let this program get csinodes: its service account has a role for that (403)")
}

func TestADriverIsThereOnceKubeletWroteIt(t *testing.T) {
	server, config := start(t)
	nodes, err := kube.NewNodes(config)
	require.NoError(t, err)
	for drivers, has := range map[string]bool{
		`[]`: false, `null`: false, `[{"name":"other"}]`: false, `[{"name":"other"},{"name":"d","nodeID":"worker"}]`: true,
	} {
		server.Answer(func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "/apis/storage.k8s.io/v1/csinodes/worker", r.URL.Path)
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"kind":"CSINode","apiVersion":"storage.k8s.io/v1","spec":{"drivers":%s}}`, drivers)
		})
		found, err := nodes.HasDriver(t.Context(), "worker", "d")
		require.NoError(t, err)
		assert.Equal(t, has, found, drivers)
	}
	server.Answer(func(w http.ResponseWriter, _ *http.Request) {
		kubetest.Refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	})
	found, err := nodes.HasDriver(t.Context(), "worker", "d")
	require.NoError(t, err)
	assert.False(t, found, "kubelet has yet to make the object")
}
