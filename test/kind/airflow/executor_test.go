// Package airflow runs a real Airflow with KubernetesExecutor in the cluster that KUBECONFIG
// names, as docs/pods.md tells to, and holds its tasks and its triggerer to what the documents
// promise. The images of the product and of ./image must be loaded.
package airflow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leoflow/secrets-csi/test/kind/chart"
)

// patience is how long all of it may take, on a machine that compiles something else meanwhile.
const patience = 12 * time.Minute

func TestKubernetesExecutor(t *testing.T) {
	entries := plant()
	release, err := chart.Install(entries.Entries, rules)
	require.NoError(t, err)
	a := start(t, entries)

	for id, seen := range map[string]string{
		"warehouse":  entries.connection(t, "warehouse"),
		"region":     fingerprint(entries.Variables["region"]),
		"batch.size": fingerprint(entries.Variables["batch.size"]),
	} {
		a.awaitSeen(`task_id=reads`, id, seen)
	}
	a.awaitSeen("task_id=overrides", "billing", entries.connection(t, "billing"))
	for _, task := range []string{"operates", "decorated"} {
		a.awaitSeen("task_id="+task, "password of warehouse", entries.password("warehouse"))
		a.awaitSeen("task_id="+task, "billing", "denied")
	}
	for _, task := range []string{"hooked", "granted"} {
		a.awaitSeen("task_id="+task, "password of billing", entries.password("billing"))
		a.awaitSeen("task_id="+task, "warehouse", "denied")
	}

	watchers := []string{"task_id=watches", "app=airflow-triggerer"}
	first := entries.connection(t, "reporting")
	for _, watcher := range watchers {
		a.awaitSeen(watcher, "reporting", first)
	}

	require.NoError(t, release.Store(a.Ctx, entries.with("reporting", entries.reporting("second"))))
	rotated := time.Now()
	second := entries.connection(t, "reporting")
	require.NotEqual(t, first, second)
	for _, watcher := range watchers {
		a.awaitSeen(watcher, "reporting", second)
	}
	t.Logf("a rotation was seen by the task and in the triggerer after %v", time.Since(rotated).Round(time.Millisecond))

	require.NoError(t, release.Store(a.Ctx, entries.with("reporting", nil)))
	revoked := time.Now()
	a.awaitSeen("task_id=watches", "reporting", "not defined")
	t.Logf("a revocation was seen by the task after %v", time.Since(revoked).Round(time.Millisecond))
	for _, seen := range []string{first, second, "not defined"} {
		a.awaitSeen("task_id=defers", "reporting in the triggerer", seen)
	}

	assert.Equal(t, map[string]string{
		"reads": "success", "overrides": "success", "defers": "success", "watches": "failed",
		"operates": "success", "decorated": "success", "hooked": "success", "granted": "success",
	}, a.awaitStates())
	a.awaitSeen("task_id=watches", "in the environment", "[]")
	a.searchEverything()
}
