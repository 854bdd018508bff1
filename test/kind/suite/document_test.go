package suite

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/leoflow/secrets-csi/test/console"
	"github.com/leoflow/secrets-csi/test/kind/await"
	"github.com/leoflow/secrets-csi/test/kind/chart"
	"github.com/leoflow/secrets-csi/test/kind/clustertest"
)

// documented are the manifests of docs/pods.md, by the name of the file.
func documented(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/pods.md")
	require.NoError(t, err)
	document, err := console.Parse("docs/pods.md", string(text))
	require.NoError(t, err)
	manifests := map[string]string{}
	for _, step := range document.Steps {
		if strings.Contains(step.Content, "\napiVersion: ") {
			manifests[step.File] = step.Content
		}
	}
	return manifests
}

func TestDocumentedPodsAreAccepted(t *testing.T) {
	s := begin(t)
	s.account("etl")
	s.account("airflow-worker")
	manifests := documented(t)
	for file, manifest := range manifests {
		if file == "restarted.yaml" && !s.isFrom(36) {
			continue
		}
		assert.NoError(t, s.api().judge(manifest), file)
	}
	assert.GreaterOrEqual(t, len(manifests), 7)

	labels := map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	s = beginIn(t, clustertest.Space{Labels: labels, Patience: patience})
	s.account("etl")
	assert.NoError(t, s.api().judge(manifests["pod.yaml"]), "it is said to satisfy restricted")
	assert.ErrorContains(t, s.api().judge(manifests["installed.yaml"]), "violates PodSecurity")
}

// The pods as they are in the document, but for the images, the account, and what runs
// after the agent.
func TestDocumentedPodsRun(t *testing.T) {
	s := begin(t)
	manifests := documented(t)
	for _, row := range []struct {
		file        string
		environment bool // has the entries
		backend     bool
	}{
		{"installed.yaml", true, false},
		{"pod-template.yaml", true, false},
		{"worker.yaml", false, true},
		{"backend.yaml", false, true},
	} {
		t.Run(row.file, func(t *testing.T) {
			pod := runnable(t, manifests[row.file])
			s.Run(pod, await.IsReady)
			seen := s.environment(pod.Name)
			warehouse, isSet := seen["AIRFLOW_CONN_WAREHOUSE"]
			assert.Equal(t, row.environment, isSet)
			if row.environment {
				assert.Equal(t, s.product.entries.warehouse(), warehouse)
			}
			for _, setting := range []string{"AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND"} {
				_, isSet := seen[setting]
				assert.Equal(t, row.backend, isSet, setting)
				if row.backend {
					s.assertBackendReads(pod.Name, seen[setting+"_KWARGS"])
				}
			}
		})
	}
}

// assertBackendReads looks where Airflow's backend would.
func (s *scenario) assertBackendReads(pod, arguments string) {
	s.Helper()
	var paths map[string]string
	require.NoError(s, json.Unmarshal([]byte(arguments), &paths))
	for path, id := range map[string]string{
		paths["connections_file_path"]: "warehouse", paths["variables_file_path"]: "region",
	} {
		var entries map[string]any
		require.NoError(s, json.Unmarshal([]byte(s.Exec(pod, "cat", path)), &entries))
		assert.Contains(s, entries, id)
	}
}

// runnable is a pod of the document that this cluster can run.
func runnable(t *testing.T, manifest string) *corev1.Pod {
	t.Helper()
	pod := manifested(t, manifest)
	main := &pod.Spec.Containers[0]
	main.Image = clustertest.Busybox
	main.Args = nil
	main.Command = append(main.Command[:slices.Index(main.Command, "--")+1], "sleep", "3600")
	return pod
}

// manifested is a pod of the document with the cluster's own account and images of the agent.
func manifested(t *testing.T, manifest string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	if strings.Contains(manifest, "kind: Deployment") {
		deployment := &appsv1.Deployment{}
		require.NoError(t, yaml.UnmarshalStrict([]byte(manifest), deployment))
		pod.Name, pod.Spec = deployment.Name, deployment.Spec.Template.Spec
	} else {
		require.NoError(t, yaml.UnmarshalStrict([]byte(manifest), pod))
	}
	soon := int64(1)
	pod.Spec.ServiceAccountName = ""
	pod.Spec.TerminationGracePeriodSeconds = &soon
	for i := range pod.Spec.InitContainers {
		pod.Spec.InitContainers[i].Image = chart.Agent()
	}
	return pod
}
